import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PublicKey;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.xml.crypto.KeySelector;
import javax.xml.crypto.dsig.Reference;
import javax.xml.crypto.dsig.XMLSignature;
import javax.xml.crypto.dsig.XMLSignatureFactory;
import javax.xml.crypto.dsig.dom.DOMValidateContext;
import javax.xml.parsers.DocumentBuilderFactory;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** What the JDK says of the first signature in every file of a directory: name, value, references. */
public final class XmlHarness {
    public static void main(String[] arguments) throws Exception {
        List<Path> files;
        try (Stream<Path> found = Files.list(Path.of(arguments[0]))) {
            files = found.sorted().collect(Collectors.toList());
        }
        for (Path file : files) {
            String said;
            try {
                said = judge(Files.readAllBytes(file));
            } catch (Exception error) {
                said = "error\t" + String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
            }
            System.out.println(file.getFileName() + "\t" + said);
        }
    }

    private static String judge(byte[] data) throws Exception {
        DocumentBuilderFactory factory = DocumentBuilderFactory.newInstance();
        factory.setNamespaceAware(true);
        Document document = factory.newDocumentBuilder().parse(new ByteArrayInputStream(data));
        NodeList every = document.getElementsByTagNameNS("*", "*");
        for (int at = 0; at < every.getLength(); at++) {
            Element element = (Element) every.item(at);
            if (element.hasAttribute("Id")) {
                element.setIdAttribute("Id", true);
            }
        }
        Element signature = (Element) document.getElementsByTagNameNS(XMLSignature.XMLNS, "Signature").item(0);
        DOMValidateContext context = new DOMValidateContext(KeySelector.singletonKeySelector(key(signature)), signature);
        context.setProperty("org.jcp.xml.dsig.secureValidation", Boolean.FALSE);
        XMLSignature read = XMLSignatureFactory.getInstance("DOM").unmarshalXMLSignature(context);
        boolean value = read.getSignatureValue().validate(context);
        List<String> references = new ArrayList<>();
        for (Object one : read.getSignedInfo().getReferences()) {
            references.add(String.valueOf(((Reference) one).validate(context)));
        }
        return value + "\t" + String.join(",", references);
    }

    private static PublicKey key(Element signature) throws Exception {
        String written = signature.getElementsByTagNameNS(XMLSignature.XMLNS, "X509Certificate").item(0).getTextContent();
        byte[] der = java.util.Base64.getMimeDecoder().decode(written);
        return CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(der)).getPublicKey();
    }
}

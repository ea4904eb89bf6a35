import eu.europa.esig.dss.diagnostic.SignatureWrapper;
import eu.europa.esig.dss.enumerations.DigestAlgorithm;
import eu.europa.esig.dss.enumerations.EncryptionAlgorithm;
import eu.europa.esig.dss.enumerations.SignatureLevel;
import eu.europa.esig.dss.enumerations.SignaturePackaging;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.SignatureValue;
import eu.europa.esig.dss.model.TimestampBinary;
import eu.europa.esig.dss.model.ToBeSigned;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonCertificateSource;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.spi.x509.revocation.crl.ExternalResourcesCRLSource;
import eu.europa.esig.dss.spi.x509.revocation.ocsp.ExternalResourcesOCSPSource;
import eu.europa.esig.dss.spi.x509.tsp.TSPSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.reports.Reports;
import eu.europa.esig.dss.xades.XAdESSignatureParameters;
import eu.europa.esig.dss.xades.signature.XAdESService;

import java.io.File;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.PSSParameterSpec;
import java.util.ArrayList;
import java.util.List;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampRequestGenerator;
import org.bouncycastle.tsp.TimeStampResponse;

/**
 * Signs, raises and judges XML signatures with EU DSS: {@code XadesHarness DIR TSA-URL}.
 *
 * <p>DIR/list.tsv, a line each, tab separated: {@code sign NAME LEVEL PACKAGING KEY SCHEME FILE}, with KEY the stem of
 * DIR/KEY.p8 and DIR/KEY.crt, SCHEME one of RSA, PSS, EC, FILE what is signed; {@code raise NAME LEVEL FILE CONTENT};
 * {@code verify FILE CONTENT OWN}, CONTENT empty where nothing stands beside, OWN {@code 1} where only what the file
 * carries may be used. DIR/anchors, DIR/others, DIR/crls and DIR/ocsps hold DER files. For each {@code verify} one line:
 * FILE, then for each signature level, indication and sub-indication, tab separated.
 */
public final class XadesHarness {
    private static Path root;

    public static void main(String[] args) throws Exception {
        root = Path.of(args[0]);
        TSPSource tsa = (algorithm, digest) -> stamp(args[1], algorithm, digest);
        for (String line : Files.readAllLines(root.resolve("list.tsv"), StandardCharsets.UTF_8)) {
            String[] parts = line.split("\t", -1);
            XAdESService service = new XAdESService(verifier(true));
            service.setTspSource(tsa);
            switch (parts[0]) {
                case "sign" -> sign(service, parts);
                case "raise" -> raise(service, parts);
                default -> System.out.println(parts[1] + judge(parts));
            }
        }
    }

    private static void sign(XAdESService service, String[] parts) throws Exception {
        XAdESSignatureParameters parameters = parameters(parts[2]);
        parameters.setSignaturePackaging(SignaturePackaging.valueOf(parts[3]));
        CertificateToken certificate = DSSUtils.loadCertificate(root.resolve(parts[4] + ".crt").toFile());
        parameters.setSigningCertificate(certificate);
        List<CertificateToken> chain = new ArrayList<>(List.of(certificate));
        chain.addAll(certificates("others"));
        parameters.setCertificateChain(chain);
        parameters.setEncryptionAlgorithm(switch (parts[5]) {
            case "EC" -> EncryptionAlgorithm.ECDSA;
            case "PSS" -> EncryptionAlgorithm.RSASSA_PSS;
            default -> EncryptionAlgorithm.RSA;
        });
        DSSDocument signed = new FileDocument(root.resolve(parts[6]).toFile());
        ToBeSigned octets = service.getDataToSign(signed, parameters);
        SignatureValue value = new SignatureValue(parameters.getSignatureAlgorithm(), value(parts, octets.getBytes()));
        service.signDocument(signed, parameters, value).save(root.resolve(parts[1]).toString());
    }

    private static byte[] value(String[] parts, byte[] octets) throws Exception {
        byte[] encoded = Files.readAllBytes(root.resolve(parts[4] + ".p8"));
        String kind = parts[5].equals("EC") ? "EC" : "RSA";
        PrivateKey key = KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(encoded));
        Signature signature = Signature.getInstance(switch (parts[5]) {
            case "EC" -> "SHA256withECDSA";
            case "PSS" -> "RSASSA-PSS";
            default -> "SHA256withRSA";
        });
        if (parts[5].equals("PSS")) {
            signature.setParameter(new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
        }
        signature.initSign(key);
        signature.update(octets);
        return signature.sign();
    }

    private static void raise(XAdESService service, String[] parts) throws Exception {
        XAdESSignatureParameters parameters = parameters(parts[2]);
        if (!parts[4].isEmpty()) {
            parameters.setDetachedContents(List.of(new FileDocument(root.resolve(parts[4]).toFile())));
        }
        DSSDocument raised = service.extendDocument(new FileDocument(root.resolve(parts[3]).toFile()), parameters);
        raised.save(root.resolve(parts[1]).toString());
    }

    private static XAdESSignatureParameters parameters(String level) {
        XAdESSignatureParameters parameters = new XAdESSignatureParameters();
        parameters.setSignatureLevel(SignatureLevel.valueOf("XAdES_BASELINE_" + level));
        parameters.setDigestAlgorithm(DigestAlgorithm.SHA256);
        return parameters;
    }

    private static String judge(String[] parts) {
        SignedDocumentValidator validator =
                SignedDocumentValidator.fromDocument(new FileDocument(root.resolve(parts[1]).toFile()));
        validator.setCertificateVerifier(verifier(!parts[3].equals("1")));
        if (!parts[2].isEmpty()) {
            validator.setDetachedContents(List.of(new FileDocument(root.resolve(parts[2]).toFile())));
        }
        Reports reports = validator.validateDocument();
        SimpleReport simple = reports.getSimpleReport();
        StringBuilder found = new StringBuilder();
        for (String id : simple.getSignatureIdList()) {
            SignatureWrapper one = reports.getDiagnosticData().getSignatureById(id);
            found.append('\t').append(one.isCounterSignature() ? "counter:" : "").append(simple.getSignatureFormat(id))
                    .append('\t').append(simple.getIndication(id)).append('\t').append(simple.getSubIndication(id));
        }
        return found.toString();
    }

    private static CommonCertificateVerifier verifier(boolean online) {
        CommonCertificateVerifier verifier = new CommonCertificateVerifier();
        CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
        certificates("anchors").forEach(trusted::addCertificate);
        verifier.setTrustedCertSources(trusted);
        verifier.setAIASource(null);
        if (online) {
            CommonCertificateSource adjunct = new CommonCertificateSource();
            certificates("others").forEach(adjunct::addCertificate);
            verifier.setAdjunctCertSources(adjunct);
            verifier.setCrlSource(new ExternalResourcesCRLSource(documents("crls")));
            verifier.setOcspSource(new ExternalResourcesOCSPSource(documents("ocsps")));
        }
        return verifier;
    }

    private static TimestampBinary stamp(String url, DigestAlgorithm algorithm, byte[] digest) {
        try {
            TimeStampRequestGenerator generator = new TimeStampRequestGenerator();
            generator.setCertReq(true);
            TimeStampRequest request = generator.generate(new ASN1ObjectIdentifier(algorithm.getOid()), digest);
            HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection();
            connection.setRequestProperty("Content-Type", "application/timestamp-query");
            connection.setDoOutput(true);
            try (OutputStream out = connection.getOutputStream()) {
                out.write(request.getEncoded());
            }
            TimeStampResponse response = new TimeStampResponse(connection.getInputStream().readAllBytes());
            response.validate(request);
            return new TimestampBinary(response.getTimeStampToken().getEncoded());
        } catch (Exception failed) {
            throw new IllegalStateException(failed);
        }
    }

    private static List<CertificateToken> certificates(String folder) {
        List<CertificateToken> found = new ArrayList<>();
        for (File file : root.resolve(folder).toFile().listFiles()) {
            found.add(DSSUtils.loadCertificate(file));
        }
        return found;
    }

    private static DSSDocument[] documents(String folder) {
        File[] files = root.resolve(folder).toFile().listFiles();
        DSSDocument[] found = new DSSDocument[files.length];
        for (int i = 0; i < files.length; i++) {
            found[i] = new FileDocument(files[i]);
        }
        return found;
    }
}

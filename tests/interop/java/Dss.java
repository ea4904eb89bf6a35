import eu.europa.esig.dss.diagnostic.SignatureWrapper;
import eu.europa.esig.dss.enumerations.DigestAlgorithm;
import eu.europa.esig.dss.enumerations.EncryptionAlgorithm;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.TimestampBinary;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.signature.AbstractSignatureParameters;
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
import java.util.function.Function;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampRequestGenerator;
import org.bouncycastle.tsp.TimeStampResponse;

/**
 * What the harnesses of EU DSS share: keys, trust, timestamps and verdicts of the files in DIR.
 *
 * <p>DIR/KEY.p8 and DIR/KEY.crt are keys; DIR/anchors, DIR/others, DIR/crls and DIR/ocsps hold DER files.
 */
final class Dss {
    static Path root;

    private Dss() {}

    /** One line of the list. */
    interface Work {
        void on(TSPSource tsa, String[] parts) throws Exception;
    }

    /** Works through DIR/list.tsv: what is to be judged is printed, the rest is left to the format. */
    static void main(String[] args, Work sign, Work raise, Function<String[], String> judge) throws Exception {
        root = Path.of(args[0]);
        TSPSource tsa = (algorithm, digest) -> stamp(args[1], algorithm, digest);
        for (String line : Files.readAllLines(root.resolve("list.tsv"), StandardCharsets.UTF_8)) {
            String[] parts = line.split("\t", -1);
            switch (parts[0]) {
                case "sign" -> sign.on(tsa, parts);
                case "raise" -> raise.on(tsa, parts);
                default -> System.out.println(parts[1] + judge.apply(parts));
            }
        }
    }

    /** Who signs: certificate, chain and algorithm into the parameters of whichever format. */
    static void signer(AbstractSignatureParameters<?> parameters, String key, String scheme) {
        CertificateToken certificate = DSSUtils.loadCertificate(root.resolve(key + ".crt").toFile());
        parameters.setSigningCertificate(certificate);
        List<CertificateToken> chain = new ArrayList<>(List.of(certificate));
        chain.addAll(certificates("others"));
        parameters.setCertificateChain(chain);
        parameters.setEncryptionAlgorithm(switch (scheme) {
            case "EC" -> EncryptionAlgorithm.ECDSA;
            case "PSS" -> EncryptionAlgorithm.RSASSA_PSS;
            default -> EncryptionAlgorithm.RSA;
        });
    }

    /** The signature of the key named KEY by SCHEME. */
    static byte[] value(String key, String scheme, byte[] octets) throws Exception {
        byte[] encoded = Files.readAllBytes(root.resolve(key + ".p8"));
        String kind = scheme.equals("EC") ? "EC" : "RSA";
        PrivateKey held = KeyFactory.getInstance(kind).generatePrivate(new PKCS8EncodedKeySpec(encoded));
        Signature signature = Signature.getInstance(switch (scheme) {
            case "EC" -> "SHA256withECDSA";
            case "PSS" -> "RSASSA-PSS";
            default -> "SHA256withRSA";
        });
        if (scheme.equals("PSS")) {
            signature.setParameter(new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
        }
        signature.initSign(held);
        signature.update(octets);
        return signature.sign();
    }

    /** For each signature level, indication and sub-indication, tab separated; {@code content} may be empty. */
    static String judge(String name, String content, boolean own) {
        SignedDocumentValidator validator =
                SignedDocumentValidator.fromDocument(new FileDocument(root.resolve(name).toFile()));
        validator.setCertificateVerifier(verifier(!own));
        if (!content.isEmpty()) {
            validator.setDetachedContents(List.of(new FileDocument(root.resolve(content).toFile())));
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

    static CommonCertificateVerifier verifier(boolean online) {
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

    static TimestampBinary stamp(String url, DigestAlgorithm algorithm, byte[] digest) {
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

    static List<CertificateToken> certificates(String folder) {
        List<CertificateToken> found = new ArrayList<>();
        for (File file : root.resolve(folder).toFile().listFiles()) {
            found.add(DSSUtils.loadCertificate(file));
        }
        return found;
    }

    static DSSDocument[] documents(String folder) {
        File[] files = root.resolve(folder).toFile().listFiles();
        DSSDocument[] found = new DSSDocument[files.length];
        for (int i = 0; i < files.length; i++) {
            found[i] = new FileDocument(files[i]);
        }
        return found;
    }
}

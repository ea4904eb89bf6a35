import java.io.ByteArrayInputStream;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Security;
import java.security.cert.X509Certificate;
import java.util.Date;
import java.util.stream.Stream;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.util.Store;

/** Signs and verifies CMS with BouncyCastle: `CmsHarness DIR` writes DIR/out/*.cms and says what it thinks of DIR/in/*.cms. */
public final class CmsHarness {
    // name, key algorithm, key size (0: its own), signature algorithm
    private static final String[][] KINDS = {
        {"ed25519", "Ed25519", "0", "Ed25519"},
        {"ed448", "Ed448", "0", "Ed448"},
        {"ml-dsa-44", "ML-DSA-44", "0", "ML-DSA-44"},
        {"ml-dsa-65", "ML-DSA-65", "0", "ML-DSA-65"},
        {"ml-dsa-87", "ML-DSA-87", "0", "ML-DSA-87"},
        {"rsa", "RSA", "2048", "SHA256withRSA"},
        {"rsa-sha3", "RSA", "2048", "SHA3-256withRSA"},
        {"rsa-pss", "RSA", "2048", "SHA256withRSAandMGF1"},
        {"rsa-pss-sha512", "RSA", "2048", "SHA512withRSAandMGF1"},
        {"ecdsa", "EC", "256", "SHA256withECDSA"},
        {"ecdsa-p521", "EC", "521", "SHA512withECDSA"},
        {"ecdsa-sha3", "EC", "384", "SHA3-384withECDSA"},
    };

    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        Path root = Path.of(args[0]);
        byte[] content = Files.readAllBytes(root.resolve("content"));
        for (String[] kind : KINDS) {
            Files.write(root.resolve("out").resolve(kind[0] + ".cms"), sign(kind, content));
        }
        try (Stream<Path> files = Files.list(root.resolve("in"))) {
            for (Path file : (Iterable<Path>) files.sorted()::iterator) {
                System.out.println(file.getFileName() + "\t" + verify(Files.readAllBytes(file), content));
            }
        }
    }

    private static byte[] sign(String[] kind, byte[] content) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance(kind[1], "BC");
        if (!kind[2].equals("0")) {
            generator.initialize(Integer.parseInt(kind[2]));
        }
        KeyPair pair = generator.generateKeyPair();
        ContentSigner signer = new JcaContentSignerBuilder(kind[3]).setProvider("BC").build(pair.getPrivate());
        X500Name name = new X500Name("CN=" + kind[0]);
        long now = System.currentTimeMillis();
        X509CertificateHolder holder = new JcaX509v3CertificateBuilder(
            name, BigInteger.valueOf(now), new Date(now - 86_400_000L), new Date(now + 86_400_000L), name,
            pair.getPublic()).build(signer);
        X509Certificate certificate = new JcaX509CertificateConverter().setProvider("BC").getCertificate(holder);
        CMSSignedDataGenerator cms = new CMSSignedDataGenerator();
        cms.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(
            new JcaDigestCalculatorProviderBuilder().setProvider("BC").build()).build(signer, certificate));
        cms.addCertificate(new JcaX509CertificateHolder(certificate));
        return cms.generate(new CMSProcessableByteArray(content), false).getEncoded("DER");
    }

    private static String verify(byte[] encoded, byte[] content) {
        try {
            CMSSignedData data = new CMSSignedData(new CMSProcessableByteArray(content), new ByteArrayInputStream(encoded));
            Store<X509CertificateHolder> certificates = data.getCertificates();
            SignerInformation signer = data.getSignerInfos().getSigners().iterator().next();
            @SuppressWarnings("unchecked")
            X509CertificateHolder holder =
                (X509CertificateHolder) certificates.getMatches(signer.getSID()).iterator().next();
            return String.valueOf(signer.verify(
                new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(holder)));
        } catch (Exception error) {
            return "error " + error.getMessage();
        }
    }
}

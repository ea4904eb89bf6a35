import eu.europa.esig.dss.diagnostic.SignatureWrapper;
import eu.europa.esig.dss.enumerations.Indication;
import eu.europa.esig.dss.enumerations.SubIndication;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.pades.validation.PDFDocumentValidator;
import eu.europa.esig.dss.pdf.ServiceLoaderPdfObjFactory;
import eu.europa.esig.dss.pdf.modifications.DefaultPdfDifferencesFinder;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonCertificateSource;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.spi.x509.revocation.crl.ExternalResourcesCRLSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.reports.Reports;

import java.io.File;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Locale;
import java.util.TimeZone;

/**
 * Asks EU DSS for the verdict on each file of a list.
 *
 * <p>Input file, one line a document, tab separated: path, anchors, intermediates, CRLs (each a comma separated list of
 * DER files, or empty), validation time in milliseconds (or empty). Output: one JSON object a line, in the same order, with
 * the microseconds that it took.
 */
public final class DssHarness {
    private static final int STACK = 64 * 1024 * 1024;

    public static void main(String[] args) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        Locale.setDefault(Locale.ENGLISH);
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line : Files.readAllLines(Path.of(args[0]), StandardCharsets.UTF_8)) {
            String[] parts = line.split("\t", -1);
            String[] answer = new String[1];
            long began = System.nanoTime();
            Thread thread = new Thread(null, () -> answer[0] = judge(parts), "judge", STACK);
            thread.start();
            thread.join(60_000);
            long micros = (System.nanoTime() - began) / 1000;
            String said = answer[0] != null ? answer[0] : "{\"error\":\"no answer in 60 s\"}";
            out.println(said.substring(0, said.length() - 1) + ",\"micros\":" + micros + "}");
        }
        System.exit(0);
    }

    private static String judge(String[] parts) {
        try {
            SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(new FileDocument(parts[0]));
            CommonCertificateVerifier verifier = new CommonCertificateVerifier();
            CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
            certificates(parts[1]).forEach(trusted::addCertificate);
            verifier.setTrustedCertSources(trusted);
            CommonCertificateSource adjunct = new CommonCertificateSource();
            certificates(parts[2]).forEach(adjunct::addCertificate);
            verifier.setAdjunctCertSources(adjunct);
            verifier.setAIASource(null);
            List<String> crls = split(parts[3]);
            if (!crls.isEmpty()) {
                DSSDocument[] values = crls.stream().map(FileDocument::new).toArray(DSSDocument[]::new);
                verifier.setCrlSource(new ExternalResourcesCRLSource(values));
            }
            validator.setCertificateVerifier(verifier);
            if (!parts[4].isEmpty()) {
                validator.setValidationTime(new Date(Long.parseLong(parts[4])));
            }
            if (validator instanceof PDFDocumentValidator pdf) {
                DefaultPdfDifferencesFinder differences = new DefaultPdfDifferencesFinder();
                differences.setMaximalPagesAmountForVisualComparison(0);
                ServiceLoaderPdfObjFactory factory = new ServiceLoaderPdfObjFactory();
                factory.setPdfDifferencesFinder(differences);
                pdf.setPdfObjFactory(factory);
            }
            return describe(validator.validateDocument());
        } catch (Throwable error) {
            return "{\"error\":" + quote(String.valueOf(error)) + "}";
        }
    }

    private static String describe(Reports reports) {
        SimpleReport simple = reports.getSimpleReport();
        List<String> signatures = new ArrayList<>();
        for (String id : simple.getSignatureIdList()) {
            SignatureWrapper found = reports.getDiagnosticData().getSignatureById(id);
            Indication indication = simple.getIndication(id);
            SubIndication sub = simple.getSubIndication(id);
            List<String> errors = new ArrayList<>();
            simple.getAdESValidationErrors(id).forEach(m -> errors.add(quote(m.getKey() + ": " + m.getValue())));
            signatures.add("{\"indication\":" + quote(String.valueOf(indication)) + ",\"sub_indication\":"
                    + (sub == null ? "null" : quote(sub.toString())) + ",\"format\":"
                    + quote(String.valueOf(simple.getSignatureFormat(id))) + ",\"intact\":" + found.isSignatureIntact()
                    + ",\"valid\":" + found.isSignatureValid() + ",\"undefined_changes\":"
                    + !found.getPdfUndefinedChanges().isEmpty() + ",\"modified\":" + found.arePdfModificationsDetected()
                    + ",\"timestamps\":" + found.getTimestampList().size() + ",\"errors\":["
                    + String.join(",", errors) + "]}");
        }
        return "{\"signatures\":[" + String.join(",", signatures) + "]}";
    }

    private static List<CertificateToken> certificates(String list) {
        List<CertificateToken> found = new ArrayList<>();
        split(list).forEach(name -> found.add(DSSUtils.loadCertificate(new File(name))));
        return found;
    }

    private static List<String> split(String list) {
        return list.isEmpty() ? List.of() : List.of(list.split(","));
    }

    private static String quote(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                quoted.append('\\').append(c);
            } else if (c < 0x20) {
                quoted.append(String.format("\\u%04x", (int) c));
            } else {
                quoted.append(c);
            }
        }
        return quoted.append('"').toString();
    }
}

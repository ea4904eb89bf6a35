import eu.europa.esig.dss.diagnostic.AbstractSignatureWrapper;
import eu.europa.esig.dss.diagnostic.SignatureWrapper;
import eu.europa.esig.dss.diagnostic.TimestampWrapper;
import eu.europa.esig.dss.diagnostic.jaxb.XmlDigestMatcher;
import eu.europa.esig.dss.diagnostic.jaxb.XmlObjectModification;
import eu.europa.esig.dss.diagnostic.jaxb.XmlSignatureScope;
import eu.europa.esig.dss.enumerations.Indication;
import eu.europa.esig.dss.enumerations.SubIndication;
import eu.europa.esig.dss.enumerations.TimestampType;
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
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
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
 * the microseconds that it took: its signatures and document timestamps, each with what the diagnostic data know of it.
 *
 * <p>Properties: {@code pages}, of how many pages pictures are compared (0), {@code seconds}, the processor time
 * that a file may take (60).
 */
public final class DssHarness {
    private static final int STACK = 64 * 1024 * 1024;
    private static final int PAGES = Integer.getInteger("pages", 0);
    private static final int SECONDS = Integer.getInteger("seconds", 60);
    private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

    public static void main(String[] args) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        Locale.setDefault(Locale.ENGLISH);
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        for (String line : Files.readAllLines(Path.of(args[0]), StandardCharsets.UTF_8)) {
            String[] parts = line.split("\t", -1);
            String[] answer = new String[1];
            long began = System.nanoTime();
            Thread thread = new Thread(null, () -> answer[0] = judge(parts), "judge", STACK);
            thread.setDaemon(true);
            thread.start();
            // processor time, so that a busy machine does not decide
            for (long limit = SECONDS * 1_000_000_000L; thread.isAlive(); thread.join(20)) {
                if (THREADS.getThreadCpuTime(thread.getId()) > limit || System.nanoTime() - began > 20 * limit) {
                    break;
                }
            }
            if (thread.isAlive()) {
                stop(thread);
            }
            long micros = (System.nanoTime() - began) / 1000;
            String said = answer[0] != null ? answer[0] : "{\"error\":\"late\"}";
            out.println(said.substring(0, said.length() - 1) + ",\"micros\":" + micros + "}");
        }
        System.exit(0);
    }

    /** Ends a thread that answers to nothing, where this Java can; elsewhere it goes on until all is done. */
    @SuppressWarnings({"deprecation", "removal"})
    private static void stop(Thread thread) {
        try {
            thread.stop();
        } catch (UnsupportedOperationException unable) {
            thread.interrupt();
        }
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
                differences.setMaximalPagesAmountForVisualComparison(PAGES);
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
                    + String.join(",", errors) + "]," + diagnosis(found, found.getSignatureScopes()) + "}");
        }
        List<String> stamps = new ArrayList<>();
        for (TimestampWrapper found : reports.getDiagnosticData().getTimestampList()) {
            if (found.getType() == TimestampType.DOCUMENT_TIMESTAMP) {
                stamps.add("{\"intact\":" + found.isSignatureIntact() + ",\"valid\":" + found.isSignatureValid() + ","
                        + diagnosis(found, found.getTimestampScopes()) + "}");
            }
        }
        return "{\"signatures\":[" + String.join(",", signatures) + "],\"document_timestamps\":["
                + String.join(",", stamps) + "]}";
    }

    /** What was found about the octets that are covered and about later revisions. */
    private static String diagnosis(AbstractSignatureWrapper found, List<XmlSignatureScope> covered) {
        boolean dataFound = true;
        boolean dataIntact = true;
        for (XmlDigestMatcher matcher : found.getDigestMatchers()) {
            dataFound &= matcher.isDataFound();
            dataIntact &= matcher.isDataIntact();
        }
        List<String> scopes = new ArrayList<>();
        covered.forEach(scope -> scopes.add(quote(String.valueOf(scope.getScope()))));
        List<String> fields = new ArrayList<>();
        List<String> range = new ArrayList<>();
        boolean placed = found.getPDFRevision() != null;
        if (placed) {
            found.getSignatureFieldNames().forEach(name -> fields.add(quote(name)));
            found.getSignatureByteRange().forEach(number -> range.add(number.toString()));
        }
        return "\"data_found\":" + dataFound + ",\"data_intact\":" + dataIntact + ",\"fields\":" + list(fields)
                + ",\"byte_range\":" + list(range) + ",\"byte_range_valid\":"
                + (placed && found.isSignatureByteRangeValid()) + ",\"consistent\":"
                + (placed && found.isPdfSignatureDictionaryConsistent()) + ",\"scopes\":" + list(scopes)
                + ",\"extension\":" + changes(found.getPdfExtensionChanges()) + ",\"form\":"
                + changes(found.getPdfSignatureOrFormFillChanges()) + ",\"annotation\":"
                + changes(found.getPdfAnnotationChanges()) + ",\"undefined\":" + changes(found.getPdfUndefinedChanges())
                + ",\"pages\":" + found.getPdfPageDifferenceConcernedPages() + ",\"visual\":"
                + found.getPdfVisualDifferenceConcernedPages() + ",\"overlap\":"
                + found.getPdfAnnotationsOverlapConcernedPages();
    }

    private static String changes(List<XmlObjectModification> found) {
        List<String> texts = new ArrayList<>();
        found.forEach(change -> texts.add(quote(change.getAction() + " " + change.getValue())));
        return list(texts);
    }

    private static String list(List<String> items) {
        return "[" + String.join(",", items) + "]";
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

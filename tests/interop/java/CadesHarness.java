import eu.europa.esig.dss.cades.CAdESSignatureParameters;
import eu.europa.esig.dss.cades.signature.CAdESService;
import eu.europa.esig.dss.enumerations.DigestAlgorithm;
import eu.europa.esig.dss.enumerations.SignatureLevel;
import eu.europa.esig.dss.enumerations.SignaturePackaging;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.SignatureValue;
import eu.europa.esig.dss.model.ToBeSigned;
import eu.europa.esig.dss.spi.x509.tsp.TSPSource;

import java.util.List;

/**
 * Signs, raises and judges CMS files with EU DSS: {@code CadesHarness DIR TSA-URL}.
 *
 * <p>DIR/list.tsv, a line each, tab separated: {@code sign NAME LEVEL PACKAGING KEY SCHEME EXISTING}, with KEY the stem of
 * DIR/KEY.p8 and DIR/KEY.crt, SCHEME one of RSA, PSS, EC, EXISTING a file to sign beside or empty; {@code raise NAME
 * LEVEL FILE}; {@code verify FILE CONTENT OWN}, CONTENT empty where it stands inside, OWN {@code 1} where only what the
 * file carries may be used. DIR/anchors, DIR/others, DIR/crls and DIR/ocsps hold DER files; DIR/content is signed. For each
 * {@code verify} one line: FILE, then for each signature level, indication and sub-indication, tab separated.
 */
public final class CadesHarness {
    public static void main(String[] args) throws Exception {
        Dss.main(args, CadesHarness::sign, CadesHarness::raise, parts -> Dss.judge(parts[1], parts[2], parts[3].equals("1")));
    }

    private static void sign(TSPSource tsa, String[] parts) throws Exception {
        CAdESService service = service(tsa);
        CAdESSignatureParameters parameters = parameters(parts[2]);
        parameters.setSignaturePackaging(SignaturePackaging.valueOf(parts[3]));
        Dss.signer(parameters, parts[4], parts[5]);
        DSSDocument content = new FileDocument(Dss.root.resolve("content").toFile());
        DSSDocument signed = content;
        if (!parts[6].isEmpty()) {
            signed = new FileDocument(Dss.root.resolve(parts[6]).toFile());
            parameters.setDetachedContents(List.of(content));
        }
        ToBeSigned octets = service.getDataToSign(signed, parameters);
        byte[] value = Dss.value(parts[4], parts[5], octets.getBytes());
        SignatureValue made = new SignatureValue(parameters.getSignatureAlgorithm(), value);
        service.signDocument(signed, parameters, made).save(Dss.root.resolve(parts[1]).toString());
    }

    private static void raise(TSPSource tsa, String[] parts) throws Exception {
        CAdESSignatureParameters parameters = parameters(parts[2]);
        parameters.setDetachedContents(List.of(new FileDocument(Dss.root.resolve("content").toFile())));
        DSSDocument file = new FileDocument(Dss.root.resolve(parts[3]).toFile());
        service(tsa).extendDocument(file, parameters).save(Dss.root.resolve(parts[1]).toString());
    }

    private static CAdESService service(TSPSource tsa) {
        CAdESService service = new CAdESService(Dss.verifier(true));
        service.setTspSource(tsa);
        return service;
    }

    private static CAdESSignatureParameters parameters(String level) {
        CAdESSignatureParameters parameters = new CAdESSignatureParameters();
        parameters.setSignatureLevel(SignatureLevel.valueOf("CAdES_BASELINE_" + level));
        parameters.setDigestAlgorithm(DigestAlgorithm.SHA256);
        return parameters;
    }
}

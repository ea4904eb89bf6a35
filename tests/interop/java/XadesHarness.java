import eu.europa.esig.dss.enumerations.DigestAlgorithm;
import eu.europa.esig.dss.enumerations.SignatureLevel;
import eu.europa.esig.dss.enumerations.SignaturePackaging;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.SignatureValue;
import eu.europa.esig.dss.model.ToBeSigned;
import eu.europa.esig.dss.spi.x509.tsp.TSPSource;
import eu.europa.esig.dss.xades.XAdESSignatureParameters;
import eu.europa.esig.dss.xades.signature.XAdESService;

import java.util.List;

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
    public static void main(String[] args) throws Exception {
        Dss.main(args, XadesHarness::sign, XadesHarness::raise, parts -> Dss.judge(parts[1], parts[2], parts[3].equals("1")));
    }

    private static void sign(TSPSource tsa, String[] parts) throws Exception {
        XAdESService service = service(tsa);
        XAdESSignatureParameters parameters = parameters(parts[2]);
        parameters.setSignaturePackaging(SignaturePackaging.valueOf(parts[3]));
        Dss.signer(parameters, parts[4], parts[5]);
        DSSDocument signed = new FileDocument(Dss.root.resolve(parts[6]).toFile());
        ToBeSigned octets = service.getDataToSign(signed, parameters);
        byte[] value = Dss.value(parts[4], parts[5], octets.getBytes());
        SignatureValue made = new SignatureValue(parameters.getSignatureAlgorithm(), value);
        service.signDocument(signed, parameters, made).save(Dss.root.resolve(parts[1]).toString());
    }

    private static void raise(TSPSource tsa, String[] parts) throws Exception {
        XAdESSignatureParameters parameters = parameters(parts[2]);
        if (!parts[4].isEmpty()) {
            parameters.setDetachedContents(List.of(new FileDocument(Dss.root.resolve(parts[4]).toFile())));
        }
        DSSDocument file = new FileDocument(Dss.root.resolve(parts[3]).toFile());
        service(tsa).extendDocument(file, parameters).save(Dss.root.resolve(parts[1]).toString());
    }

    private static XAdESService service(TSPSource tsa) {
        XAdESService service = new XAdESService(Dss.verifier(true));
        service.setTspSource(tsa);
        return service;
    }

    private static XAdESSignatureParameters parameters(String level) {
        XAdESSignatureParameters parameters = new XAdESSignatureParameters();
        parameters.setSignatureLevel(SignatureLevel.valueOf("XAdES_BASELINE_" + level));
        parameters.setDigestAlgorithm(DigestAlgorithm.SHA256);
        return parameters;
    }
}

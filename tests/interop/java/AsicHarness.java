import eu.europa.esig.dss.asic.cades.ASiCWithCAdESSignatureParameters;
import eu.europa.esig.dss.asic.cades.signature.ASiCWithCAdESService;
import eu.europa.esig.dss.asic.xades.ASiCWithXAdESSignatureParameters;
import eu.europa.esig.dss.asic.xades.signature.ASiCWithXAdESService;
import eu.europa.esig.dss.enumerations.ASiCContainerType;
import eu.europa.esig.dss.enumerations.DigestAlgorithm;
import eu.europa.esig.dss.enumerations.SignatureLevel;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.SignatureValue;
import eu.europa.esig.dss.spi.x509.tsp.TSPSource;

import java.util.ArrayList;
import java.util.List;

/**
 * Signs, raises and judges ASiC containers with EU DSS: {@code AsicHarness DIR TSA-URL}.
 *
 * <p>DIR/list.tsv, a line each, tab separated: {@code sign NAME LEVEL FORM KIND KEY SCHEME FILES}, with FORM XAdES or
 * CAdES, KIND E or S, KEY the stem of DIR/KEY.p8 and DIR/KEY.crt, SCHEME RSA or EC, FILES names in DIR with commas
 * between; {@code raise NAME LEVEL FORM FILE}; {@code verify FILE OWN}, OWN {@code 1} where only what the file carries may
 * be used. DIR/anchors, DIR/others, DIR/crls and DIR/ocsps hold DER files. For each {@code verify} one line: FILE, then
 * for each signature level, indication and sub-indication, tab separated.
 */
public final class AsicHarness {
    public static void main(String[] args) throws Exception {
        Dss.main(args, AsicHarness::sign, AsicHarness::raise, parts -> Dss.judge(parts[1], "", parts[2].equals("1")));
    }

    private static void sign(TSPSource tsa, String[] parts) throws Exception {
        List<DSSDocument> files = new ArrayList<>();
        for (String name : parts[7].split(",")) {
            files.add(new FileDocument(Dss.root.resolve(name).toFile()));
        }
        String target = Dss.root.resolve(parts[1]).toString();
        if (parts[3].equals("XAdES")) {
            ASiCWithXAdESSignatureParameters p = parametersX(parts[2]);
            p.aSiC().setContainerType(parts[4].equals("E") ? ASiCContainerType.ASiC_E : ASiCContainerType.ASiC_S);
            Dss.signer(p, parts[5], parts[6]);
            ASiCWithXAdESService service = serviceX(tsa);
            byte[] value = Dss.value(parts[5], parts[6], service.getDataToSign(files, p).getBytes());
            service.signDocument(files, p, new SignatureValue(p.getSignatureAlgorithm(), value)).save(target);
        } else {
            ASiCWithCAdESSignatureParameters p = parametersC(parts[2]);
            p.aSiC().setContainerType(parts[4].equals("E") ? ASiCContainerType.ASiC_E : ASiCContainerType.ASiC_S);
            Dss.signer(p, parts[5], parts[6]);
            ASiCWithCAdESService service = serviceC(tsa);
            byte[] value = Dss.value(parts[5], parts[6], service.getDataToSign(files, p).getBytes());
            service.signDocument(files, p, new SignatureValue(p.getSignatureAlgorithm(), value)).save(target);
        }
    }

    private static void raise(TSPSource tsa, String[] parts) throws Exception {
        DSSDocument file = new FileDocument(Dss.root.resolve(parts[4]).toFile());
        DSSDocument raised = parts[3].equals("XAdES")
                ? serviceX(tsa).extendDocument(file, parametersX(parts[2]))
                : serviceC(tsa).extendDocument(file, parametersC(parts[2]));
        raised.save(Dss.root.resolve(parts[1]).toString());
    }

    private static ASiCWithXAdESService serviceX(TSPSource tsa) {
        ASiCWithXAdESService service = new ASiCWithXAdESService(Dss.verifier(true));
        service.setTspSource(tsa);
        return service;
    }

    private static ASiCWithXAdESSignatureParameters parametersX(String level) {
        ASiCWithXAdESSignatureParameters p = new ASiCWithXAdESSignatureParameters();
        p.setSignatureLevel(SignatureLevel.valueOf("XAdES_BASELINE_" + level));
        p.setDigestAlgorithm(DigestAlgorithm.SHA256);
        return p;
    }

    private static ASiCWithCAdESService serviceC(TSPSource tsa) {
        ASiCWithCAdESService service = new ASiCWithCAdESService(Dss.verifier(true));
        service.setTspSource(tsa);
        return service;
    }

    private static ASiCWithCAdESSignatureParameters parametersC(String level) {
        ASiCWithCAdESSignatureParameters p = new ASiCWithCAdESSignatureParameters();
        p.setSignatureLevel(SignatureLevel.valueOf("CAdES_BASELINE_" + level));
        p.setDigestAlgorithm(DigestAlgorithm.SHA256);
        return p;
    }
}

/**
 * Checks the TLS files that Envoy will read. Envoy itself would only report that it does not know the cluster whose
 * files it could not read, or would not report anything.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { printable } from "../diagnostics.ts";
import { UserError } from "./output.ts";
import { readUpTo, reasonOf } from "./sources.ts";

/** Files by the options that name them; absent if they are not given. */
export interface PemFiles {
  upstreamCa?: string;
  upstreamCert?: string;
  upstreamKey?: string;
  jwksCa?: string;
}

/** The authorities of a system take about 200 KB. */
const MAX_BYTES = 4 * 1024 * 1024;

/** @throws {UserError} that names the option, the file and what is wrong with it */
export function checkPemFiles({ upstreamCa, upstreamCert, upstreamKey, jwksCa }: PemFiles): void {
  if (jwksCa !== undefined) readCertificate("--jwks-ca", jwksCa);
  if (upstreamCa !== undefined) readCertificate("--upstream-ca", upstreamCa);
  if (upstreamCert === undefined || upstreamKey === undefined) return;
  const certificate = readCertificate("--upstream-cert", upstreamCert);
  const key = readPrivateKey("--upstream-key", upstreamKey);
  if (!certificate.checkPrivateKey(key)) {
    throw new UserError(
      printable(
        `--upstream-key ${upstreamKey}: this key is not that of the first certificate in ${upstreamCert}`,
      ),
    );
  }
}

function readCertificate(option: string, file: string): X509Certificate {
  const text = read(option, file);
  try {
    // DER would parse too, but Envoy accepts only PEM.
    if (text.includes("-----BEGIN ")) return new X509Certificate(text);
  } catch {
    // Reported below.
  }
  throw new UserError(printable(`${option} ${file}: it does not begin with a certificate in PEM`));
}

function readPrivateKey(option: string, file: string): KeyObject {
  try {
    return createPrivateKey(read(option, file));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(printable(`${option} ${file}: it has no private key in PEM without a passphrase`));
  }
}

function read(option: string, file: string): Buffer {
  try {
    return readUpTo(resolve(file), MAX_BYTES);
  } catch (error) {
    throw new UserError(printable(`${option} ${file}: ${reasonOf(error)}`));
  }
}

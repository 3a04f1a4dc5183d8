/**
 * Makes the vectors of this folder from those of NIST's Cryptographic Algorithm Validation Program, as PyPI's package
 * cryptography_vectors carries them: the hashes in use, RSA keys within our limits. Those for ML-DSA come from the
 * Automated Cryptographic Validation Protocol's server (the repository usnistgov/ACVP-Server): the tests of messages
 * that are not hashed before. They are random bytes for the most part, and so kept in compressed form.
 *
 *     node tests/vectors/nist/compact.mjs FOLDER ACVP-FOLDER
 *
 * The folders are the unpacked package's `cryptography_vectors`, and `gen-val/json-files/ML-DSA-sigVer-FIPS204`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";

const [folder = ".", acvp = "."] = process.argv.slice(2);
const HASHES = ["SHA256", "SHA384", "SHA512"];
const EXPONENTS = ["3", "10001"];
const MIN_BITS = 2048;

const base64url = (hex) => Buffer.from(hex, "hex").toString("base64url");

/** The lines `name = value` and `[name = value]` of a response file. */
function* assignments(path) {
  for (const line of readFileSync(join(folder, path), "utf8").split(/\r?\n/)) {
    const found = /^\[?(\w+) = (.*?)\]?$/.exec(line);
    if (found) yield found.slice(1).map((text) => text.trim());
  }
}

function write(name, source, tests) {
  const lines = tests.map((test) => `  ${JSON.stringify(test)}`).join(",\n");
  writeFileSync(
    new URL(name, import.meta.url),
    `{"source":${JSON.stringify(source)},"tests":[\n${lines}\n]}\n`,
  );
}

const digests = [];
for (const hash of HASHES) {
  let length = 0;
  let message = "";
  for (const [name, value] of assignments(`hashes/SHA2/${hash}ShortMsg.rsp`)) {
    if (name === "Len") length = Number(value) / 8;
    if (name === "Msg") message = value.slice(0, 2 * length);
    if (name === "MD") digests.push([hash.toLowerCase(), base64url(message), base64url(value)]);
  }
}
write("sha2.json", "SHA256, SHA384 and SHA512ShortMsg.rsp", digests);

for (const file of ["SigVer15_186-3", "SigVerPSS_186-3"]) {
  const tests = [];
  const now = {};
  for (const [name, value] of assignments(`asymmetric/RSA/FIPS_186-2/${file}.rsp`)) {
    now[name] = value;
    if (name !== "Result") continue;
    const e = now.e.replace(/^0+/, "");
    if (!HASHES.includes(now.SHAAlg) || !EXPONENTS.includes(e) || Number(now.mod) < MIN_BITS) continue;
    const bytes = [now.n, e.padStart(6, "0"), now.Msg, now.S].map(base64url);
    tests.push([now.SHAAlg.toLowerCase(), value, ...bytes]);
  }
  write(`${file}.json`, `${file}.rsp`, tests);
}

const read = (name) => JSON.parse(readFileSync(join(acvp, name), "utf8"));
const results = new Map(
  read("expectedResults.json").testGroups.flatMap(({ tests }) => tests.map((t) => [t.tcId, t.testPassed])),
);
const lines = read("prompt.json")
  .testGroups.filter(
    ({ signatureInterface, preHash }) => signatureInterface === "external" && preHash === "pure",
  )
  .flatMap(({ parameterSet, tests }) =>
    tests.map((t) => {
      const bytes = [t.pk, t.message, t.signature, t.context].map(base64url);
      return `  ${JSON.stringify([parameterSet, results.get(t.tcId), ...bytes])}`;
    }),
  );
const text = `{"source":"ML-DSA-sigVer-FIPS204","tests":[\n${lines.join(",\n")}\n]}\n`;
writeFileSync(new URL("ML-DSA-sigVer.json.br", import.meta.url), brotliCompressSync(text));

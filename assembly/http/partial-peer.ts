/**
 * Envoy before 1.38 does not show a peer's certificate to a filter (attribute `connection.peer_certificate`), only the
 * first name of each kind in it. This depends on the host alone, so it is recorded once per VM.
 */
import { logWarning } from "../abi/log";
import { getProperty, propertyInteger } from "../abi/property";
import { Text } from "../memory/slice";
import { recordPartialPeer } from "../metrics";

/** Envoy's minor version. Each Envoy reports its own, even if its bootstrap sets another for the node. */
const MINOR_VERSION = new Text("xds\0node\0user_agent_build_version\0version\0minor_number");
/** The first that shows certificates. */
const FIRST_VERSION: i64 = 38;

let isProbed: bool = false;
let isNoted: bool = false;

/**
 * Records whether the host shows certificates, if its version is known. Runs while a configuration that needs them is
 * loaded.
 */
export function probePeerCertificates(): void {
  if (isProbed) return;
  isProbed = true;
  recordPartialPeer(false);
  const version = propertyInteger(getProperty(MINOR_VERSION.slice));
  if (version >= 0 && version < FIRST_VERSION) notePartialPeer();
}

/** Logs that names of peers are incomplete and sets the gauge; only the first time. */
export function notePartialPeer(): void {
  if (isNoted) return;
  isNoted = true;
  recordPartialPeer(true);
  logWarning(
    "jwtgate: this Envoy does not show peers' certificates (1.38 does): policies on principals, namespaces and serviceAccounts see the first URI SAN, the first DNS SAN and the subject",
  );
}

/**
 * Envoy before 1.38 does not show the certificate of a peer to a filter (attribute `connection.peer_certificate`), only
 * the first name of each kind in it. What it shows is a fact of the host, so it is noted once in a virtual machine.
 */
import { logWarning } from "../abi/log";
import { getProperty, propertyInteger } from "../abi/property";
import { Text } from "../memory/slice";
import { recordPartialPeer } from "../metrics";

/** Envoy's minor version; each Envoy knows its own, whatever its bootstrap says of the node. */
const MINOR_VERSION = new Text("xds\0node\0user_agent_build_version\0version\0minor_number");
/** The first that shows certificates. */
const FIRST_VERSION: i64 = 38;

let isProbed: bool = false;
let isNoted: bool = false;

/** Says, if the host's version is known, whether it shows certificates. While a configuration is loaded that needs them. */
export function probePeerCertificates(): void {
  if (isProbed) return;
  isProbed = true;
  recordPartialPeer(false);
  const version = propertyInteger(getProperty(MINOR_VERSION.slice));
  if (version >= 0 && version < FIRST_VERSION) notePartialPeer();
}

/** Logs, and shows as a gauge, that names of peers are incomplete; the first time only. */
export function notePartialPeer(): void {
  if (isNoted) return;
  isNoted = true;
  recordPartialPeer(true);
  logWarning(
    "jwtgate: this Envoy does not show peers' certificates (1.38 does): policies on principals, namespaces and serviceAccounts see the first URI SAN, the first DNS SAN and the subject",
  );
}

/** PEM (RFC 7468). */
import { base64Encode } from "../host/bytes.ts";

/** A block of PEM, with a line break at its end. @param label such as `PUBLIC KEY` */
export function pem(label: string, bytes: Uint8Array): string {
  const lines = base64Encode(bytes).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/**
 * The names in the peer's certificate by which Envoy's RBAC identifies a peer: every URI SAN, every DNS SAN and the
 * subject (source/extensions/filters/common/rbac/matchers.cc, AuthenticatedMatcher). The host has verified the
 * certificate. Attributes give only the first SAN of each kind, so the certificate itself is read.
 */
import { EMPTY, Slice, Text, equals, lengthOf } from "../memory/slice";
import { DerReader } from "../encoding/der-reader";
import { decodePemCertificate } from "../encoding/pem";
import { percentDecode } from "../encoding/percent";

/** Identifier octets in a certificate (RFC 5280 section 4.1). */
const enum Tag {
  Boolean = 0x01,
  OctetString = 0x04,
  ObjectIdentifier = 0x06,
  Sequence = 0x30,
  /** dNSName and uniformResourceIdentifier of a GeneralName. */
  DnsName = 0x82,
  Uri = 0x86,
  /** extensions of a TBSCertificate. */
  Extensions = 0xa3,
}

/** id-ce-subjectAltName, 2.5.29.17 (RFC 5280 section 4.2.1.6). */
const SUBJECT_ALTERNATIVE_NAME = new Text("\x55\x1d\x11");

export class PeerCertificate {
  /** In RFC 2253 form, as `connection.subject_peer_certificate` gives it. Set by the reader of attributes. */
  subject: Slice = EMPTY;
  private readonly uriSans: Array<Slice> = [];
  private readonly dnsSans: Array<Slice> = [];
  private readonly certificate: DerReader = new DerReader();
  private readonly fields: DerReader = new DerReader();
  private readonly extensions: DerReader = new DerReader();
  private readonly extension: DerReader = new DerReader();

  get uriSanCount(): i32 {
    return this.uriSans.length;
  }

  /** URI SAN `i` (0 ≤ i < uriSanCount), in the arena. */
  uriSan(i: i32): Slice {
    return unchecked(this.uriSans[i]);
  }

  get dnsSanCount(): i32 {
    return this.dnsSans.length;
  }

  /** DNS SAN `i` (0 ≤ i < dnsSanCount), in the arena. */
  dnsSan(i: i32): Slice {
    return unchecked(this.dnsSans[i]);
  }

  /**
   * Sets names that the host gives in place of a certificate.
   *
   * @param uriSan the first URI SAN, or the only name
   * @param dnsSan the first DNS SAN, or EMPTY
   */
  assume(uriSan: Slice, dnsSan: Slice): void {
    this.clear();
    this.uriSans.push(uriSan);
    if (lengthOf(dnsSan) > 0) this.dnsSans.push(dnsSan);
  }

  /**
   * Removes all names, because there is no certificate. The lists keep their memory, so that a request allocates
   * nothing.
   */
  clear(): void {
    this.subject = EMPTY;
    this.uriSans.length = 0;
    this.dnsSans.length = 0;
  }

  /**
   * @param text PEM, as `connection.peer_certificate` gives it in Envoy 1.40. Percent-encoded PEM, as earlier Envoy
   *   sources write it (source/extensions/filters/common/expr/context.cc, urlEncodedPemEncodedPeerCertificate), is
   *   accepted too
   * @returns false, without names, if it is not a readable certificate; the caller then fails closed
   */
  parse(text: Slice): bool {
    this.clear();
    const der = decodePemCertificate(percentDecode(text));
    if (this.parseDer(der)) return true;
    this.clear();
    return false;
  }

  /** Parses Certificate and TBSCertificate (RFC 5280 section 4.1). */
  private parseDer(der: Slice): bool {
    this.certificate.begin(der);
    if (!this.certificate.expect(Tag.Sequence) || this.certificate.hasMore) return false;
    this.fields.begin(this.certificate.content);
    if (!this.fields.expect(Tag.Sequence)) return false;
    this.certificate.begin(this.fields.content);
    // The fields before the extensions are skipped; none follow the extensions.
    while (this.certificate.hasMore && !this.certificate.isNext(Tag.Extensions)) this.certificate.next();
    if (this.certificate.failed) return false;
    if (!this.certificate.hasMore) return true;
    this.certificate.next();
    if (this.certificate.failed || this.certificate.hasMore) return false;
    this.fields.begin(this.certificate.content);
    return (
      this.fields.expect(Tag.Sequence) && !this.fields.hasMore && this.parseExtensions(this.fields.content)
    );
  }

  private parseExtensions(bytes: Slice): bool {
    let seen = false;
    this.extensions.begin(bytes);
    while (this.extensions.hasMore) {
      if (!this.extensions.expect(Tag.Sequence)) return false;
      this.extension.begin(this.extensions.content);
      if (!this.extension.expect(Tag.ObjectIdentifier)) return false;
      if (!equals(this.extension.content, SUBJECT_ALTERNATIVE_NAME.slice)) continue;
      // A second subjectAltName would be a second answer to who the peer is.
      if (seen) return false;
      seen = true;
      if (this.extension.isNext(Tag.Boolean)) this.extension.next();
      if (!this.extension.expect(Tag.OctetString) || this.extension.hasMore) return false;
      if (!this.parseNames(this.extension.content)) return false;
    }
    return !this.extensions.failed;
  }

  /** Parses GeneralNames. */
  private parseNames(bytes: Slice): bool {
    const names = this.extension;
    names.begin(bytes);
    if (!names.expect(Tag.Sequence) || names.hasMore) return false;
    names.begin(names.content);
    while (names.hasMore) {
      if (!names.next()) return false;
      if (names.tag == Tag.Uri) this.uriSans.push(names.content);
      else if (names.tag == Tag.DnsName) this.dnsSans.push(names.content);
    }
    return !names.failed;
  }
}

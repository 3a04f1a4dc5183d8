/** The effect of each option of curl on the request that a policy sees. `curl.ts` reads those that are obeyed. */

/** They describe the request. */
export type Obeyed = (typeof OBEYED)[number];
export const OBEYED = [
  ...["anyauth", "compressed", "cookie", "data", "data-ascii", "data-binary", "data-raw", "data-urlencode"],
  ...[
    "form",
    "form-string",
    "get",
    "globoff",
    "head",
    "header",
    "json",
    "oauth2-bearer",
    "path-as-is",
    "range",
    "referer",
  ],
  ...["request", "url", "url-query", "user", "user-agent"],
] as const;

/** They change how curl connects, waits, follows and prints, but not the first request to the named server. */
export const IGNORED: readonly string[] = `
  abstract-unix-socket alpn basic buffer ca-native cacert capath cert-status cert-type ciphers clobber compressed-ssh
  connect-timeout connect-to cookie-jar create-dirs create-file-mode crlfile curves disable disallow-username-in-url
  dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers doh-cert-status doh-insecure doh-url dump-header ech egd-file
  etag-save expect100-timeout fail fail-early fail-with-body false-start follow form-escape
  happy-eyeballs-timeout-ms http0.9 http1.0 http1.1 http2 http2-prior-knowledge http3 http3-only ignore-content-length
  include insecure interface ip-tos ipv4 ipv6 junk-session-cookies keepalive keepalive-cnt keepalive-time key key-type
  krb krb4 libcurl limit-rate local-port location location-trusted max-filesize max-redirs max-time metalink mptcp
  noproxy npn ntlm-wb out-null output output-dir parallel parallel-immediate parallel-max parallel-max-host pass
  pinnedpubkey post301 post302 post303 preproxy progress-bar progress-meter proto proto-redir proxy proxy-anyauth
  proxy-basic proxy-ca-native proxy-cacert proxy-capath proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile
  proxy-digest proxy-header proxy-http2 proxy-http3 proxy-insecure proxy-key proxy-key-type proxy-negotiate proxy-ntlm
  proxy-pass proxy-pinnedpubkey proxy-service-name proxy-ssl-allow-beast proxy-ssl-auto-client-cert
  proxy-tls13-ciphers proxy-tlsauthtype proxy-tlspassword proxy-tlsuser proxy-tlsv1 proxy-user proxy1.0 proxytunnel
  random-file rate raw remote-header-name remote-name remote-name-all remote-time remove-on-error resolve retry
  retry-all-errors retry-connrefused retry-delay retry-max-time sessionid show-error show-headers sigalgs silent
  skip-existing socks4 socks4a socks5 socks5-basic socks5-gssapi socks5-gssapi-nec socks5-gssapi-service
  socks5-hostname speed-limit speed-time ssl ssl-allow-beast ssl-no-revoke ssl-reqd ssl-revoke-best-effort
  ssl-sessions sslv2 sslv3 stderr styled-output suppress-connect-headers tcp-fastopen tcp-nodelay tls-earlydata
  tls-max tls13-ciphers tlsauthtype tlspassword tlsuser tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 trace trace-ascii
  trace-config trace-ids trace-time unix-socket verbose vlan-priority write-out xattr`
  .trim()
  .split(/\s+/);

const reads = (what: string) => `reads ${what}, which is not read here`;
const HEADER = "write the header that it makes, with -H";
const SIGNS = "makes the header Authorization from a key: write the header with -H";
const ASKS_FIRST = "sends what the server's first answer asks for: write the header Authorization with -H";
const NO_REQUEST = "prints something, and no request is sent";
const OTHER_PROTOCOL = "is for another protocol than HTTP: leave it out";
const PEER = "sets the address that the connection comes from: leave it out, and write --peer";
const CERTIFICATE = "shows a client certificate: leave it out, and write its URI with --client-san";

/** They would change the request, or what curl does instead of it: the message, after the option's name. */
export const REFUSED: ReadonlyMap<string, string> = new Map([
  ["config", reads("more options from a file")],
  ["netrc", reads("a password from a file")],
  ["netrc-file", reads("a password from a file")],
  ["netrc-optional", reads("a password from a file")],
  ["upload-file", `${reads("a file")}: write -X PUT, and the body with -d`],
  ["variable", `${reads("a file or the environment")}: write the values`],
  ["etag-compare", `${reads("a file")}: write the header If-None-Match with -H`],
  ["hsts", reads("from a file which servers are asked with https")],
  ["alt-svc", reads("from a file which other servers are asked")],
  ["engine", "loads a library into curl, which is not done here"],
  ["cert", CERTIFICATE],
  ["ssl-auto-client-cert", CERTIFICATE],
  ["haproxy-clientip", PEER],
  ["haproxy-protocol", PEER],
  ["request-target", "puts another path into the request: leave it out, and write --path"],
  ["proto-default", "sets the scheme of the URL: write the scheme in the URL"],
  ["continue-at", `asks for a part: ${HEADER} (Range)`],
  ["time-cond", `asks for what is newer: ${HEADER} (If-Modified-Since)`],
  ["tr-encoding", `sets what curl can read: ${HEADER} (TE, Connection)`],
  ...["aws-sigv4", "httpsig-algo", "httpsig-headers", "httpsig-key", "httpsig-keyid"].map(
    (name): [string, string] => [name, SIGNS],
  ),
  ...["digest", "negotiate", "ntlm", "delegation", "service-name"].map((name): [string, string] => [
    name,
    ASKS_FIRST,
  ]),
  ...["dump-ca-embed", "help", "manual", "version"].map((name): [string, string] => [name, NO_REQUEST]),
  ["next", "begins another request: give one request at a time"],
  ...`append crlf disable-eprt disable-epsv eprt epsv ftp-account ftp-alternative-to-user ftp-create-dirs ftp-method
    ftp-pasv ftp-port ftp-pret ftp-skip-pasv-ip ftp-ssl ftp-ssl-ccc ftp-ssl-ccc-mode ftp-ssl-control ftp-ssl-reqd
    hostpubmd5 hostpubsha256 ipfs-gateway knownhosts list-only login-options mail-auth mail-from mail-rcpt
    mail-rcpt-allowfails pubkey quote sasl-authzid sasl-ir telnet-option tftp-blksize tftp-no-options upload-flags
    use-ascii`
    .split(/\s+/)
    .map((name): [string, string] => [name, OTHER_PROTOCOL]),
]);

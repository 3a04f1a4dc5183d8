import { Cidr, IpAddress } from "../http/address";
import { bytes } from "./support";

/** The address as family and value, or "none". */
function parsed(text: string): string {
  const address = new IpAddress();
  return address.parse(bytes(text)) ? shown(address) : "none";
}

/** As `parsed`, and the port. */
function parsedWithPort(text: string): string {
  const address = new IpAddress();
  return address.parseWithPort(bytes(text)) ? `${shown(address)} port ${address.port}` : "none";
}

function shown(address: IpAddress): string {
  return address.family == 4
    ? `4 ${address.lo.toString(16)}`
    : `${address.family} ${address.hi.toString(16)} ${address.lo.toString(16)}`;
}

function isBlock(text: string): bool {
  return new Cidr().parse(bytes(text));
}

function contains(block: string, text: string): bool {
  const cidr = new Cidr();
  const address = new IpAddress();
  expect(cidr.parse(bytes(block))).toBe(true, block);
  expect(address.parse(bytes(text))).toBe(true, text);
  return cidr.contains(address);
}

describe("addresses", () => {
  it("are read", () => {
    expect(parsed("0.0.0.0")).toBe("4 0");
    expect(parsed("192.0.2.1")).toBe("4 c0000201");
    expect(parsed("255.255.255.255")).toBe("4 ffffffff");
    expect(parsed("::")).toBe("6 0 0");
    expect(parsed("::1")).toBe("6 0 1");
    expect(parsed("1::")).toBe("6 1000000000000 0");
    expect(parsed("2001:DB8::a")).toBe("6 20010db800000000 a");
    expect(parsed("1:2:3:4:5:6:7:8")).toBe("6 1000200030004 5000600070008");
    expect(parsed("1:2:3:4:5:6:7::")).toBe("6 1000200030004 5000600070000");
    expect(parsed("::2:3:4:5:6:7:8")).toBe("6 200030004 5000600070008");
    expect(parsed("1:2:3::6:7:8")).toBe("6 1000200030000 600070008");
    expect(parsed("::ffff:192.0.2.1")).toBe("6 0 ffffc0000201");
    expect(parsed("1:2:3:4:5:6:192.0.2.1")).toBe("6 1000200030004 50006c0000201");
    expect(parsed("64:ff9b::192.0.2.1")).toBe("6 64ff9b00000000 c0000201");
  });

  it("are refused if inet_pton refuses them", () => {
    const wrong: StaticArray<string> = [
      "",
      ".",
      "1",
      "1.2.3",
      "1.2.3.",
      ".1.2.3",
      "1..2.3",
      "1.2.3.4.",
      "1.2.3.4.5",
      "1.2.3.256",
      "1.2.3.04",
      "1.2.3.00",
      "1.2.3.-1",
      "1.2.3.4 ",
      " 1.2.3.4",
      "0x1.2.3.4",
      "1.2.3.4:80",
      ":",
      ":::",
      "::1::",
      "1::2::3",
      ":1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::",
      "::1:2:3:4:5:6:7:8",
      "1:2:3:4::5:6:7:8",
      "12345::",
      "g::",
      "::1%eth0",
      "[::1]",
      "1.2.3.4::",
      "::1.2.3.4:5",
      "::1.2.3",
      "1:2:3:4:5:6:7:1.2.3.4",
      "1:2:3:4:5:1.2.3.4",
      "::1.2.3.4.5",
    ];
    for (let i = 0; i < wrong.length; i++) expect(parsed(wrong[i])).toBe("none", wrong[i]);
  });

  it("are read with ports as Envoy prints them", () => {
    expect(parsedWithPort("192.0.2.1:80")).toBe("4 c0000201 port 80");
    expect(parsedWithPort("192.0.2.1:0")).toBe("4 c0000201 port 0");
    expect(parsedWithPort("[::1]:65535")).toBe("6 0 1 port 65535");
    expect(parsedWithPort("[fe80::1%eth0]:80")).toBe("6 fe80000000000000 1 port 80");
    expect(parsedWithPort("[::ffff:1.2.3.4]:80")).toBe("6 0 ffff01020304 port 80");
  });

  it("are refused with anything but a port", () => {
    const wrong: StaticArray<string> = [
      "",
      ":80",
      "192.0.2.1",
      "192.0.2.1:",
      "192.0.2.1:65536",
      "192.0.2.1:080",
      "192.0.2.1:8 ",
      "192.0.2.1:99999999999",
      "::1:80",
      "[::1]",
      "[::1]80",
      "[::1",
      "[]:80",
      "[1.2.3.4]:80",
      "[%eth0]:80",
      "/var/run/pipe",
      "envoy://internal/x",
    ];
    for (let i = 0; i < wrong.length; i++) expect(parsedWithPort(wrong[i])).toBe("none", wrong[i]);
  });

  it("clear the previous address", () => {
    const address = new IpAddress();
    expect(address.parseWithPort(bytes("[2001:db8::1]:80"))).toBe(true);
    expect(address.parse(bytes("1.2.3.4.5"))).toBe(false);
    expect(address.family).toBe(0);
    expect(address.hi).toBe(0);
    expect(address.lo).toBe(0);
    expect(address.port).toBe(-1);
  });
});

describe("blocks", () => {
  it("contain the addresses with their prefix", () => {
    expect(contains("10.0.0.0/8", "10.255.0.1")).toBe(true);
    expect(contains("10.0.0.0/8", "11.0.0.0")).toBe(false);
    expect(contains("192.0.2.128/25", "192.0.2.255")).toBe(true);
    expect(contains("192.0.2.128/25", "192.0.2.127")).toBe(false);
    expect(contains("192.0.2.1/32", "192.0.2.1")).toBe(true);
    expect(contains("192.0.2.1/32", "192.0.2.0")).toBe(false);
    expect(contains("0.0.0.0/0", "255.255.255.255")).toBe(true);
    expect(contains("2001:db8::/32", "2001:db8:ffff::1")).toBe(true);
    expect(contains("2001:db8::/32", "2001:db9::")).toBe(false);
    expect(contains("2001:db8::/64", "2001:db8::ffff:0:0:1")).toBe(true);
    expect(contains("2001:db8::/65", "2001:db8::8000:0:0:1")).toBe(false);
    expect(contains("::1/128", "::1")).toBe(true);
    expect(contains("::1/128", "::2")).toBe(false);
    expect(contains("::/0", "ffff::")).toBe(true);
  });

  it("of one family contain no addresses of the other", () => {
    expect(contains("0.0.0.0/0", "::1")).toBe(false);
    expect(contains("::/0", "1.2.3.4")).toBe(false);
    expect(contains("1.2.3.4/32", "::ffff:1.2.3.4")).toBe(false);
    expect(contains("::ffff:0:0/96", "1.2.3.4")).toBe(false);
    const none = new IpAddress();
    const cidr = new Cidr();
    expect(cidr.parse(bytes("0.0.0.0/0"))).toBe(true);
    expect(cidr.contains(none)).toBe(false);
  });

  it("are refused if they are incomplete", () => {
    const wrong: StaticArray<string> = [
      "",
      "/",
      "10.0.0.0",
      "10.0.0.0/",
      "10.0.0.0/33",
      "10.0.0.0/08",
      "10.0.0.0/-1",
      "10.0.0.0/8/8",
      "10.0.0.1/8",
      "10.0.0.0/7.",
      "::/129",
      "::1/127",
      "2001:db8::1/64",
      "x/8",
    ];
    for (let i = 0; i < wrong.length; i++) expect(isBlock(wrong[i])).toBe(false, wrong[i]);
  });
});

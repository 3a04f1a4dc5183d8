/** Documents fetched from issuers and key servers: which are accepted, and the reason if one is refused. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { discover, type Fault, fetchAnswer, fetchText, NoAnswer } from "../../tools/jwks/discovery.ts";
import { answer, JwksServer } from "../support/jwks-server.ts";
import { CertificateAuthority } from "../support/pki.ts";

let server: JwksServer;
beforeEach(async () => {
  server = await JwksServer.start(answer(200, "{}"));
});
afterEach(() => server.close());

describe("a discovery document", () => {
  const ISSUER = "https://issuer.example.com";
  const found = (body: unknown) => {
    server.behaviour = answer(200, typeof body === "string" ? body : JSON.stringify(body));
    return discover(`${server.origin}/document`, ISSUER);
  };

  test("names the URL of the keys", async () => {
    const jwksUri = "https://keys.example.com/jwks";
    expect(await found({ issuer: ISSUER, jwks_uri: jwksUri })).toBe(jwksUri);
  });

  test.each<[string, unknown, string]>([
    ["not JSON", "<html>", "the document is not JSON"],
    ["null", null, "the document is not an object"],
    ["a number", 7, "the document is not an object"],
    [
      "of another issuer",
      { issuer: "b", jwks_uri: "https://a/b" },
      `the document is of issuer "b", not of ${ISSUER}`,
    ],
    ["without jwks_uri", { issuer: ISSUER }, "the document has no jwks_uri"],
    ["with a list as jwks_uri", { issuer: ISSUER, jwks_uri: ["https://a"] }, "the document has no jwks_uri"],
    [
      "with a blank before the URL",
      { issuer: ISSUER, jwks_uri: " https://a/b" },
      "is not an http or https URL",
    ],
    [
      "with a backslash in the host",
      { issuer: ISSUER, jwks_uri: "https://a\\b/c" },
      "is not an http or https URL",
    ],
  ])("is refused if it is %s", async (_, body, message) => {
    await expect(found(body)).rejects.toThrow(message);
  });
});

describe("a fetch", () => {
  test("returns the body of an answer with status 200", async () => {
    server.behaviour = answer(200, "héllo");
    expect(await fetchText(`${server.origin}/a`)).toBe("héllo");
    expect(await fetchAnswer(`${server.origin}/a`)).toEqual({ status: 200, body: Buffer.from("héllo") });
    expect(server.requests).toEqual(["/a", "/a"]);
  });

  test("refuses another status, and follows no redirect", async () => {
    server.behaviour = answer(404, "no");
    await expect(fetchText(server.origin)).rejects.toThrow(/^the server answers 404$/);
    server.behaviour = answer(302, "", { location: "/elsewhere" });
    await expect(fetchText(server.origin)).rejects.toThrow(
      "the server answers 302, a redirect to /elsewhere, which is not followed",
    );
    expect((await fetchAnswer(server.origin)).location).toBe("/elsewhere");
    expect(server.requests).not.toContain("/elsewhere");
  });

  const fault = async (uri: string, options: Parameters<typeof fetchAnswer>[1] = {}) => {
    const error = await fetchAnswer(uri, options).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(NoAnswer);
    return error as NoAnswer;
  };

  test("reads no more than its limit", async () => {
    server.behaviour = answer(200, "x".repeat(1000));
    expect((await fetchAnswer(server.origin, { maxBytes: 1000 })).body).toHaveLength(1000);
    expect(await fault(server.origin, { maxBytes: 999 })).toMatchObject({
      message: "the document is larger than 999 bytes",
      fault: "size",
    });
    server.behaviour = (_, response) => {
      for (let i = 0; i < 4; i++) response.write("x".repeat(300));
      response.end();
    };
    expect((await fault(server.origin, { maxBytes: 1000 })).fault).toBe("size");
  });

  test("ends if there is no response in time", async () => {
    server.behaviour = () => {};
    expect(await fault(server.origin, { timeoutMs: 50 })).toMatchObject({
      message: "the server did not answer within 50 ms",
      fault: "timeout",
    });
  });

  test("goes to no metadata service", async () => {
    expect(await fault("http://[fe80::1]/")).toMatchObject({
      message: "this is a link-local address or a metadata service, which has no keys",
      fault: "connection",
    });
  });

  test("trusts the authority of caFile", async () => {
    const authority = new CertificateAuthority();
    const secure = await JwksServer.start(
      answer(200, "{}"),
      authority.issue({ dns: ["localhost"] }),
      "localhost",
    );
    const folder = mkdtempSync(join(tmpdir(), "jwtgate-discovery-"));
    const caFile = join(folder, "ca.pem");
    writeFileSync(caFile, authority.certificate);
    try {
      expect(await fetchText(secure.origin, { caFile })).toBe("{}");
      expect((await fault(secure.origin)).fault).toBe("connection");
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await secure.close();
    }
  });

  /** A server that does this with each connection. */
  async function faultOf(behave: (socket: Socket) => void): Promise<Fault> {
    const raw = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => behave(socket));
    });
    await new Promise<void>((resolve) => raw.listen(0, "127.0.0.1", resolve));
    const { port } = raw.address() as { port: number };
    try {
      return (await fault(`http://127.0.0.1:${port}/`)).fault;
    } finally {
      raw.close();
    }
  }

  test("reports the stage at which it failed", async () => {
    expect(await faultOf((socket) => socket.resetAndDestroy())).toBe("closed");
    expect(await faultOf((socket) => socket.end("SSH-2.0-x\r\n\r\n"))).toBe("protocol");
    const { port } = new URL(server.origin);
    await server.close();
    expect((await fault(`http://127.0.0.1:${port}/`)).fault).toBe("connection");
    expect((await fault("http://a.invalid/")).fault).toBe("address");
    server = await JwksServer.start(answer(200, "{}"));
  });
});

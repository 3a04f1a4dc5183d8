/**
 * Decides whether a request's tokens let it pass (Envoy jwt_authn: authenticator.cc and verifier.cc, with the
 * requirements that istiod writes):
 *
 * - one OPTIONAL provider: any of {P, missing};
 * - several: any of {P0, P1, …, all of {any of {P0, missing}, any of {P1, missing}, …}};
 * - any REQUIRED: all of {P for a REQUIRED one, any of {P, missing} for an OPTIONAL one}.
 *
 * A provider succeeds if every token at its locations verifies; it checks the last location first. A verified token
 * changes the request at once (outputs added, token removed), as in Envoy, so the next provider sees the change. Before
 * a provider checks tokens, it removes the headers that it writes, no matter who set them. So if two providers write
 * the same header, only the later one's value remains, even if that provider finds no token.
 */
import { nowNanoseconds } from "../abi/clock";
import { EMPTY, Slice, equals, indexOfByte, lengthOf } from "../memory/slice";
import { allocateSlices, setSlice, sliceAt } from "../memory/slice-list";
import { maxKeysTried, maxTokens, maxTokenBytes, maxWaitMs } from "../config/schema";
import { Reader } from "../document/reader";
import { Node } from "../encoding/json";
import { Request } from "../http/request";
import { ClaimValue, claimHeaderValue } from "../jose/claims";
import { Jwt } from "../jose/jwt";
import { JwkSet } from "../jose/jwks";
import { Status, namesClaim, statusText } from "../jose/status";
import {
  TRACING,
  traceAuthenticated,
  traceContent,
  traceMalformed,
  traceProvider,
  traceProviderEnd,
  traceRemembered,
  traceTokenEnd,
} from "../trace";
import { Authentication } from "./authentication";
import { Candidate, Extractor } from "./extractor";
import { Provider } from "./provider";
import { RemoteJwks, kidHash } from "./remote-jwks";
import { TokenCache } from "./token-cache";
import { TokenEvaluator } from "./token-evaluator";
import { VerifiedToken, nextOutput, outputIndex, outputValue, writeOutput } from "./verified-token";
import { FIRST_KEYS } from "./waiting-list";

/** The document that the traced module parses tokens into for its events. */
// @ts-ignore: decorator
@lazy
const TRACED = new Jwt();

const DOT: u8 = 0x2e;

/** Limits on what the authenticator does for one request. */
export class AuthenticationLimits {
  /**
   * @param maxTokenBytes a longer token is refused
   * @param maxTokens a request with more tokens is refused
   * @param maxKeysTried keys tried for one token
   * @param maxWait how long a request waits for keys, in milliseconds
   */
  private constructor(
    readonly maxTokenBytes: i32,
    readonly maxTokens: i32,
    readonly maxKeysTried: i32,
    readonly maxWait: u64,
  ) {}

  /** @param limits of a configuration, or NONE */
  static load(reader: Reader, limits: Node): AuthenticationLimits {
    return new AuthenticationLimits(
      <i32>maxTokenBytes(reader, limits),
      <i32>maxTokens(reader, limits),
      <i32>maxKeysTried(reader, limits),
      maxWaitMs(reader, limits),
    );
  }
}

export class Authenticator {
  /** The result for the current request. */
  private result: Authentication = new Authentication();
  private mayWait: bool = false;
  private deadline: u64 = 0;
  private readonly jwt: Jwt = new Jwt();
  /** The token that `jwt` holds; null if it is a token of an earlier request. */
  private parsed: Candidate | null = null;
  private now: u64 = 0;
  /** Whether tokens were added or removed since the request was read. */
  private changed: bool = false;
  /** Whether a verified token wrote a header. */
  private wrote: bool = false;
  /**
   * Whether it wrote a header in which providers look for tokens. Tokens are then extracted again, as Envoy does for
   * each provider.
   */
  private wroteLocation: bool = false;
  /** The first claim that a provider's refusal named, while several providers are asked. */
  private firstClaim: Slice = EMPTY;
  private readonly anyRequired: bool;
  /** The names of all headers that providers write, and how many they are. */
  private readonly outputs: StaticArray<Slice>;
  private readonly outputCount: i32;
  /** Copies of two `limits`, where every request reads. */
  private readonly maxTokenBytes: i32;
  private readonly maxTokens: i32;
  private readonly statuses: StaticArray<Status>;

  constructor(
    readonly providers: StaticArray<Provider>,
    private readonly extractor: Extractor,
    private readonly cache: TokenCache,
    private readonly evaluator: TokenEvaluator | null,
    private readonly limits: AuthenticationLimits,
    private readonly removesLookalikes: bool,
  ) {
    let required = false;
    for (let i = 0; i < providers.length; i++) required = required || providers[i].required;
    this.anyRequired = required;
    const outputs = outputNames(providers);
    this.outputs = outputs;
    this.outputCount = outputs.length;
    this.maxTokenBytes = limits.maxTokenBytes;
    this.maxTokens = limits.maxTokens;
    this.statuses = new StaticArray<Status>(providers.length);
  }

  /**
   * Removes every header that this filter writes, and its lookalikes if the configuration says so, so that no client
   * can supply an identity. Runs for every request, with any outcome.
   */
  sanitize(request: Request): void {
    for (let i = 0; i < this.outputCount; i++) {
      const name = unchecked(this.outputs[i]);
      if (this.removesLookalikes) request.removeLookalikes(name);
      else request.removeHeader(name);
    }
  }

  /**
   * @param mayWait whether the request may wait for keys
   * @param deadline when the wait ends, in milliseconds since 1970; 0 if it has not begun
   * @param result overwritten with the result
   */
  authenticate(request: Request, mayWait: bool, deadline: u64, result: Authentication): void {
    result.reset();
    this.result = result;
    this.mayWait = mayWait;
    this.deadline = deadline;
    this.parsed = null;
    this.now = 0;
    this.changed = false;
    this.wrote = false;
    this.wroteLocation = false;
    result.status = this.decide(request);
    if (TRACING) this.traceResult();
  }

  private decide(request: Request): Status {
    if (!this.extractor.extract(request, this.maxTokens)) return Status.TooManyJwts;
    if (this.extractor.count == 0 && !this.anyRequired) {
      if (TRACING) this.traceUnasked();
      return Status.Ok;
    }
    if (this.anyRequired) return this.all(request, false);
    if (this.providers.length == 1) {
      const status = this.verify(request, unchecked(this.providers[0]));
      return status == Status.JwtMissed ? Status.Ok : status;
    }
    return this.any(request);
  }

  /** All of {P, or any of {P, missing} if P is optional}: returns the first failure. */
  private all(request: Request, onlyAgain: bool): Status {
    for (let i = 0; i < this.providers.length; i++) {
      const provider = unchecked(this.providers[i]);
      // A provider's earlier result can change only if a token was added or removed since.
      const status =
        onlyAgain && !this.changed ? unchecked(this.statuses[i]) : this.verify(request, provider);
      if (status != Status.Ok && (status != Status.JwtMissed || provider.required)) return status;
    }
    return Status.Ok;
  }

  /** Any of {P0, P1, …, all of {any of {Pi, missing}}}. */
  private any(request: Request): Status {
    let final: Status = Status.JwtMissed;
    this.firstClaim = EMPTY;
    for (let i = 0; i < this.providers.length; i++) {
      const status = this.verify(request, unchecked(this.providers[i]));
      if (this.isFinal(status)) return status;
      unchecked((this.statuses[i] = status));
      final = prefer(final, status);
    }
    const status = this.all(request, true);
    if (this.isFinal(status)) return status;
    // If nothing has changed, `status` is the first failure that is not a missing token, so it noted the first claim.
    if (!this.changed && namesClaim(status)) this.result.refusedClaim = this.firstClaim;
    return prefer(final, status);
  }

  /** Notes the claim that a refusal names. */
  private noteClaim(claim: Slice): void {
    if (this.firstClaim == EMPTY) this.firstClaim = claim;
    this.result.refusedClaim = claim;
  }

  /** Whether no other provider can change the outcome: the request passes, waits, or is answered 500. */
  private isFinal(status: Status): bool {
    return status == Status.Ok || status == Status.HostFailed || this.result.waitsFor != null;
  }

  /** Verifies every token at the provider's locations, from the last one to the first. */
  private verify(request: Request, provider: Provider): Status {
    if (TRACING) this.traceBegin(provider);
    if (this.wrote) removeOutputs(request, provider);
    if (this.wroteLocation) {
      this.parsed = null;
      if (!this.extractor.extract(request, this.maxTokens)) {
        if (TRACING) this.traceEnd(Status.TooManyJwts);
        return Status.TooManyJwts;
      }
    }
    const count = this.extractor.count;
    let chosen: u64 = 0;
    for (let i = 0; i < count; i++) {
      const candidate = this.extractor.at(i);
      if (candidate.present && unchecked(provider.looksAt[candidate.location])) chosen |= (<u64>1) << i;
    }
    if (chosen == 0) {
      if (TRACING) this.traceEnd(Status.JwtMissed);
      return Status.JwtMissed;
    }
    for (let i = count - 1; i >= 0; i--) {
      if ((chosen & ((<u64>1) << i)) == 0) continue;
      if (TRACING) this.traceToken(this.extractor.at(i));
      const status = this.verifyToken(request, provider, this.extractor.at(i));
      if (TRACING) this.traceTokenEnd(status);
      if (status != Status.Ok) {
        if (TRACING) this.traceEnd(status);
        return status;
      }
    }
    if (TRACING) this.traceEnd(Status.Ok);
    return Status.Ok;
  }

  private verifyToken(request: Request, provider: Provider, candidate: Candidate): Status {
    const token = candidate.token;
    if (lengthOf(token) > this.maxTokenBytes) return Status.JwtTooLarge;
    const hash = this.cache.hash(token);
    let block = this.cache.find(token, hash, provider.index);
    if (block && !this.isKeyCurrent(provider, block)) {
      this.cache.forget(block);
      block = null;
    }
    if (block) {
      const status = this.checkTime(provider, block.expiresAt, block.notBefore);
      if (status != Status.Ok) return status;
      if (TRACING) traceRemembered();
      this.result.hits++;
      this.cache.touch(block);
      // Verifying a further token may move the block while the request still points into it.
      const stays = this.extractor.count == 1 && !this.anyRequired && !this.wroteLocation;
      this.accept(request, provider, candidate, stays ? block : block.copy());
      return Status.Ok;
    }
    // The cache has the token under another provider, so it parses. For the usual refusal, this provider needs only its
    // issuer.
    const known = this.providers.length > 1 ? this.cache.find(token, hash, -1) : null;
    if (known && provider.issuer != EMPTY && !equals(known.issuer, provider.issuer)) {
      return Status.JwtUnknownIssuer;
    }
    const status = this.check(provider, candidate);
    if (status != Status.Ok) return status;
    this.result.misses++;
    const fresh = this.remember(provider, token, hash);
    if (!fresh) return Status.JwtClaimNotHeaderValue;
    this.accept(request, provider, candidate, fresh);
    return Status.Ok;
  }

  /** Checks in this order: parse, issuer, type, time, audience, claims, lifetime, keys. */
  private check(provider: Provider, candidate: Candidate): Status {
    if (!candidate.isParsed) this.parse(candidate);
    if (candidate.parseStatus != Status.Ok) return candidate.parseStatus;
    if (provider.issuer != EMPTY && !equals(candidate.issuer, provider.issuer))
      return Status.JwtUnknownIssuer;
    // With many providers a token is compared often but parsed rarely: it is parsed again only if the issuer matches.
    if (this.parsed != candidate) this.parse(candidate);
    const jwt = this.jwt;
    const constraints = provider.constraints;
    if (constraints && !constraints.allowsType(jwt.jws)) return Status.JwtHeaderTypNotAllowed;
    const timeStatus = this.checkTime(provider, jwt.expiresAt, jwt.notBefore);
    if (timeStatus != Status.Ok) return timeStatus;
    if (provider.audiences.length > 0 && !jwt.audienceAllowed(provider.audiences)) {
      return Status.JwtAudienceNotAllowed;
    }
    if (constraints) {
      const missing = constraints.missingClaim(jwt);
      if (missing != EMPTY) {
        this.noteClaim(missing);
        return Status.JwtClaimMissing;
      }
      if (!constraints.allowsLifetime(jwt, this.now + provider.clockSkew)) return Status.JwtLifetimeTooLong;
    }
    const keys = provider.keys;
    const status = keys ? keys.verify(jwt.jws, this.limits.maxKeysTried) : Status.JwksFetchFail;
    const remote = provider.remoteKeys;
    if (status == Status.Ok || status == Status.HostFailed || !remote || !this.mayWait) return status;
    if (!remote.mayHelp(jwt.jws, this.deadline, this.limits.maxWait)) return status;
    this.result.waitsFor = remote;
    this.result.waitsForKid = remote.keys ? kidHash(jwt.jws) : FIRST_KEYS;
    return status;
  }

  private parse(candidate: Candidate): void {
    this.parsed = candidate;
    candidate.isParsed = true;
    candidate.parseStatus = this.jwt.parse(candidate.token);
    candidate.issuer = candidate.parseStatus == Status.Ok ? this.jwt.issuer : EMPTY;
  }

  private checkTime(provider: Provider, expiresAt: u64, notBefore: u64): Status {
    if (this.now == 0) this.now = nowNanoseconds() / 1_000_000_000;
    const now = this.now;
    if (now + provider.clockSkew < notBefore) return Status.JwtNotYetValid;
    // Without a clock no token passes. The sum cannot overflow: skew and clock are small.
    if (now == 0 || (expiresAt != u64.MAX_VALUE && now > saturatedAdd(expiresAt, provider.clockSkew))) {
      return Status.JwtExpired;
    }
    return Status.Ok;
  }

  /** Whether the key that verified the token is still one of the provider's. */
  private isKeyCurrent(provider: Provider, block: VerifiedToken): bool {
    const keys = provider.keys;
    if (!keys) return false;
    if (block.keyGeneration == keys.generation) return true;
    if (!keys.has(block.keyFingerprint)) return false;
    block.keyGeneration = keys.generation;
    return true;
  }

  /**
   * Builds the block that later requests need of the token in `jwt`. @returns null if a claim cannot be a header's
   * value
   */
  private remember(provider: Provider, token: Slice, hash: u64): VerifiedToken | null {
    const jwt = this.jwt;
    const claims = provider.claimsToHeaders;
    let outputBytes = 0;
    const values = allocateSlices(claims.length);
    for (let i = 0; i < claims.length; i++) {
      const claim = unchecked(claims[i]);
      const value = claimHeaderValue(jwt.payload, claim.claimName);
      if (value == ClaimValue.INVALID) {
        this.noteClaim(claim.claimName);
        return null;
      }
      setSlice(values, i, value);
      if (lengthOf(value) > 0) outputBytes += 8 + lengthOf(value);
    }
    const evaluator = this.evaluator;
    const bitsLength = evaluator ? evaluator.tokenPredicateBytes : 0;
    const keys = provider.keys as JwkSet;
    const block = VerifiedToken.create(
      token,
      jwt.jws.payloadSegment,
      jwt.issuer,
      jwt.subject,
      bitsLength,
      outputBytes,
    );
    block.hash = hash;
    block.expiresAt = jwt.expiresAt;
    block.notBefore = jwt.notBefore;
    block.keyFingerprint = keys.verifiedBy;
    block.keyGeneration = keys.generation;
    block.provider = provider.index;
    if (evaluator) evaluator.evaluateToken(jwt.payload, provider.spaceDelimitedClaims, block.bits);
    let count = 0;
    let output = block.outputs;
    for (let i = 0; i < claims.length; i++) {
      const value = sliceAt(values, i);
      if (lengthOf(value) == 0) continue;
      output = writeOutput(output, i, value);
      count++;
    }
    block.outputCount = count;
    this.cache.insert(block);
    return block;
  }

  /** Applies a verified token to the request. */
  private accept(request: Request, provider: Provider, candidate: Candidate, block: VerifiedToken): void {
    if (provider.payloadHeader != EMPTY) request.addHeader(provider.payloadHeader, block.payloadSegment);
    if (provider.payloadHeader != EMPTY || block.outputCount > 0) {
      this.wrote = true;
      if (provider.writesLocations) this.wroteLocation = this.changed = true;
    }
    let output = block.outputs;
    for (let i = 0; i < block.outputCount; i++) {
      const claim = unchecked(provider.claimsToHeaders[outputIndex(output)]);
      request.addHeader(claim.headerName, outputValue(output));
      output = nextOutput(output);
    }
    if (!provider.forward) {
      this.extractor.remove(request, candidate);
      this.changed = true;
    }
    this.result.verified = block;
  }

  /** Reports that a provider is asked, and where it looks. */
  private traceBegin(provider: Provider): void {
    traceProvider(provider.index);
    this.extractor.traceLocations(provider.looksAt);
  }

  private traceEnd(status: Status): void {
    traceProviderEnd(status, statusText(status), this.result.refusedClaim);
  }

  /** Reports that no provider is asked because there is no token. */
  private traceUnasked(): void {
    for (let i = 0; i < this.providers.length; i++) {
      this.traceBegin(unchecked(this.providers[i]));
      this.traceEnd(Status.JwtMissed);
    }
  }

  /**
   * Reports which token is checked and what it contains. The token is parsed for that alone, even if the cache has the
   * verdict.
   */
  private traceToken(candidate: Candidate): void {
    const token = candidate.token;
    this.extractor.traceCandidate(candidate, this.maxTokenBytes);
    if (lengthOf(token) > this.maxTokenBytes) return;
    const jwt = TRACED;
    const status = jwt.parse(token);
    if (status == Status.JwtBadFormat) traceForm(token);
    if (status != Status.Ok) return;
    const header = jwt.jws.header;
    traceContent(header.raw(header.root), jwt.payload.raw(jwt.payload.root));
  }

  private traceTokenEnd(status: Status): void {
    traceTokenEnd(status, statusText(status), this.result.refusedClaim);
  }

  private traceResult(): void {
    const status = this.result.status;
    const verified = this.result.verified;
    const provider = status == Status.Ok && verified ? verified.provider : -1;
    traceAuthenticated(status, statusText(status), this.result.refusedClaim, provider);
  }
}

/** Reports how many segments a token has, and which is the first empty one. */
function traceForm(token: Slice): void {
  let sections = 0;
  let empty = -1;
  for (let start = 0; start <= lengthOf(token); sections++) {
    const dot = indexOfByte(token, DOT, start);
    const end = dot < 0 ? lengthOf(token) : dot;
    if (end == start && empty < 0) empty = sections;
    start = end + 1;
  }
  traceMalformed(sections, empty);
}

/** Removes the headers that a provider writes. */
function removeOutputs(request: Request, provider: Provider): void {
  if (provider.payloadHeader != EMPTY) request.removeHeader(provider.payloadHeader);
  const claims = provider.claimsToHeaders;
  for (let i = 0; i < claims.length; i++) request.removeHeader(unchecked(claims[i]).headerName);
}

/** The names of all headers that providers write, each once. */
function outputNames(providers: StaticArray<Provider>): StaticArray<Slice> {
  const names: Array<Slice> = [];
  for (let i = 0; i < providers.length; i++) {
    addName(names, providers[i].payloadHeader);
    const claims = providers[i].claimsToHeaders;
    for (let k = 0; k < claims.length; k++) addName(names, claims[k].headerName);
  }
  return StaticArray.fromArray<Slice>(names);
}

/** Adds a name unless it is EMPTY or already in the list. */
function addName(names: Array<Slice>, name: Slice): void {
  if (name == EMPTY) return;
  for (let i = 0; i < names.length; i++) if (equals(names[i], name)) return;
  names.push(name);
}

/** Envoy's choice among the failures of an any-of: the last one other than a missing token or an unknown issuer. */
function prefer(final: Status, status: Status): Status {
  const telling = status != Status.JwtMissed && status != Status.JwtUnknownIssuer;
  return telling || final == Status.JwtMissed ? status : final;
}

function saturatedAdd(a: u64, b: u64): u64 {
  const sum = a + b;
  return sum < a ? u64.MAX_VALUE : sum;
}

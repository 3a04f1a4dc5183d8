/**
 * Finds all predicates that hold of a token's payload in one walk over it. The names of the claims that predicates are
 * about form a tree; only members in the tree are visited.
 *
 * Values are compared as Envoy's RBAC compares them in dynamic metadata under Istio (docs/semantics.md, "Claims in
 * policies"): a string, or any string element of a list. Numbers, booleans, null, objects and nested lists never match.
 */
import { Region } from "../memory/region";
import { Slice, Text, equals, indexOfByte, lengthOf, subslice } from "../memory/slice";
import { JsonDocument, JsonKind, NONE, Node } from "../encoding/json";
import { TRACING, traceElement, traceList } from "../trace";
import { HashTable, NO_ENTRY, hashKey } from "./hash-table";
import { SparseSet } from "../memory/sparse-set";
import { Subject, ValueIndex } from "./value-index";

const SCOPE = new Text("scope");
const PERMISSION = new Text("permission");
const SPACE: u8 = 0x20;

/** A node of the tree of names; the root is the payload. */
type Branch = i32;
const ROOT: Branch = 0;
const NO_SUBJECT: Subject = -1;

export class ClaimIndex {
  /** From a branch and a name to the branch of that member. */
  private readonly names: HashTable;
  /** By branch: the subject of predicates about its value, or NO_SUBJECT. */
  private readonly subjects: Array<Subject> = [NO_SUBJECT];
  /** By branch: whether it has branches of its own. */
  private readonly isInner: Array<bool> = [false];

  /** @param tables holds what requests read */
  constructor(
    private readonly tables: Region,
    private readonly values: ValueIndex,
  ) {
    this.names = HashTable.create(tables);
  }

  /**
   * @param path names from the payload down, at least one; they must outlive the index
   * @returns the subject of predicates about the value at that path
   */
  subject(path: StaticArray<Slice>): Subject {
    let branch = ROOT;
    for (let i = 0; i < path.length; i++) branch = this.below(branch, path[i]);
    if (this.subjects[branch] == NO_SUBJECT) this.subjects[branch] = this.values.addSubject();
    return this.subjects[branch];
  }

  /** The branch of that name under `branch`; added if there is none. */
  private below(branch: Branch, name: Slice): Branch {
    const hash = nameHash(branch, name);
    const entry = this.names.find(hash, name);
    if (entry != NO_ENTRY) return this.names.value(entry);
    const result = this.subjects.length;
    this.names.add(this.tables, hash, name, result);
    this.subjects.push(NO_SUBJECT);
    this.isInner.push(false);
    this.isInner[branch] = true;
    return result;
  }

  /**
   * Adds to `found` every predicate that holds of the payload.
   *
   * @param spaceDelimited names of top-level claims whose string is a list separated by spaces, besides `scope` and
   *   `permission`, which always are
   */
  match(payload: JsonDocument, spaceDelimited: StaticArray<Slice>, found: SparseSet): void {
    if (payload.root == NONE || payload.kind(payload.root) != JsonKind.Object) return;
    for (let n = payload.firstChild(payload.root); n != NONE; n = payload.nextSibling(n)) {
      const branch = this.find(ROOT, payload.key(n));
      if (branch == ROOT) continue;
      if (payload.kind(n) == JsonKind.String && isSpaceDelimited(payload.key(n), spaceDelimited)) {
        if (TRACING) traceList(payload.key(n));
        this.matchElements(unchecked(this.subjects[branch]), payload.text(n), found);
      } else {
        this.matchNode(payload, n, branch, found);
      }
    }
  }

  /** The recursion is bounded: JsonDocument limits the depth of the payload. */
  private matchNode(payload: JsonDocument, n: Node, branch: Branch, found: SparseSet): void {
    const kind = payload.kind(n);
    const subject = unchecked(this.subjects[branch]);
    if (kind == JsonKind.Object) {
      if (!unchecked(this.isInner[branch])) return;
      for (let child = payload.firstChild(n); child != NONE; child = payload.nextSibling(child)) {
        const below = this.find(branch, payload.key(child));
        if (below != ROOT) this.matchNode(payload, child, below, found);
      }
    } else if (subject != NO_SUBJECT && kind == JsonKind.String) {
      this.values.match(subject, payload.text(n), found);
    } else if (subject != NO_SUBJECT && kind == JsonKind.Array) {
      for (let element = payload.firstChild(n); element != NONE; element = payload.nextSibling(element)) {
        if (payload.kind(element) == JsonKind.String) {
          this.values.match(subject, payload.text(element), found);
        }
      }
    }
  }

  /**
   * Matches the elements between spaces; empty ones are skipped. If no element is left, Envoy keeps the whole string
   * (source/extensions/filters/http/jwt_authn/authenticator.cc, setPayloadMetadata).
   */
  private matchElements(subject: Subject, text: Slice, found: SparseSet): void {
    if (subject == NO_SUBJECT) return;
    const length = lengthOf(text);
    let elements = 0;
    for (let start = 0; start < length;) {
      const space = indexOfByte(text, SPACE, start);
      const end = space < 0 ? length : space;
      if (end > start) {
        if (TRACING) traceElement(subslice(text, start, end));
        this.values.match(subject, subslice(text, start, end), found);
        elements++;
      }
      start = end + 1;
    }
    if (elements == 0) this.values.match(subject, text, found);
  }

  /** The branch of that name under `branch`; ROOT if there is none, because no name leads to it. */
  private find(branch: Branch, name: Slice): Branch {
    const entry = this.names.find(nameHash(branch, name), name);
    return entry == NO_ENTRY ? ROOT : this.names.value(entry);
  }
}

function nameHash(branch: Branch, name: Slice): u64 {
  return hashKey(branch, name);
}

function isSpaceDelimited(name: Slice, others: StaticArray<Slice>): bool {
  if (equals(name, SCOPE.slice) || equals(name, PERMISSION.slice)) return true;
  for (let i = 0; i < others.length; i++) {
    if (equals(name, unchecked(others[i]))) return true;
  }
  return false;
}

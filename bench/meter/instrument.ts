/**
 * Makes a module count what it does. The copy calls imported functions: at the start of each stretch of code that has no
 * branch, before each access to memory, and before each call of the host. Nothing else changes, so the copy takes the same
 * steps as the original.
 */
import { Reader, Writer } from "./binary.ts";

/** The imports of an instrumented module. */
export interface Hooks {
  /** A stretch begins. */
  stretch(number: number): void;
  /** Bytes of memory are read or written. */
  access(address: number, length: number): void;
  /** The host is called. */
  call(importNumber: number): void;
  /** Bytes are copied or filled by one instruction. */
  copy(length: number): void;
}

/** Instructions without a branch into or out of their middle. */
export interface Stretch {
  /** The function's number in the original module. */
  function: number;
  /** Instructions that make machine code: all but `block`, `loop`, `else`, `end` and `nop`. */
  instructions: number;
  /** Bytes of WebAssembly. */
  bytes: number;
}

export interface Instrumented {
  module: Uint8Array;
  stretches: Stretch[];
}

/** The name that the hooks are imported from. */
export const HOOKS = "meter";
const HOOK_NAMES = ["stretch", "access", "call", "copy"] as const;
const [STRETCH, ACCESS, CALL, COPY] = [0, 1, 2, 3];

const SECTION = {
  type: 1,
  import: 2,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
} as const;

const TYPE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
type ValueType = keyof typeof TYPE;

/**
 * Locals that each function gets in addition to its own: two addresses and a length, and a value of each
 * type.
 */
const EXTRA: ValueType[] = ["i32", "i32", "i32", "i32", "i64", "f32", "f64", "v128"];
const VALUE_LOCAL: Record<ValueType, number> = { i32: 3, i64: 4, f32: 5, f64: 6, v128: 7 };

/** Bytes that an instruction reads or writes, by its code from `i32.load` (0x28) to `i64.store32` (0x3e). */
const ACCESS_BYTES = [4, 8, 4, 8, 1, 1, 2, 2, 1, 1, 2, 2, 4, 4, 4, 8, 4, 8, 1, 2, 1, 2, 4];
const STORED: Record<number, ValueType> = {
  54: "i32",
  55: "i64",
  56: "f32",
  57: "f64",
  58: "i32",
  59: "i32",
  60: "i64",
  61: "i64",
  62: "i64",
};
/** The same for `v128.load` (0xfd 0) to `v128.store` (0xfd 11). */
const VECTOR_BYTES = [16, 8, 8, 8, 8, 8, 8, 1, 2, 4, 8, 16];

const OP = {
  nop: 0x01,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  selectTyped: 0x1c,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  tableSet: 0x26,
  firstLoad: 0x28,
  lastStore: 0x3e,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  lastNumeric: 0xc4,
  refNull: 0xd0,
  refFunc: 0xd2,
  misc: 0xfc,
  vector: 0xfd,
} as const;

/** Instructions that make no machine code. */
const FREE: readonly number[] = [OP.nop, OP.block, OP.loop, OP.else, OP.end];
/** Instructions after which another stretch begins: code is entered there from elsewhere, or left. */
const ENDS: readonly number[] = [OP.loop, OP.if, OP.else, OP.end, OP.br, OP.brIf, OP.brTable, OP.return];

/**
 * @param module a module in the format that AssemblyScript's compiler writes: one memory, no exceptions, no tail calls
 * @throws {Error} if it has an instruction that is not known here
 */
export function instrument(module: Uint8Array): Instrumented {
  const reader = new Reader(module, 8);
  const output = new Writer().append(module.subarray(0, 8));
  const state: State = { imported: 0, types: 0, parameters: [], typeOf: [], stretches: [] };
  while (!reader.done) {
    const id = reader.byte();
    const section = reader.part(reader.unsigned());
    // Names count functions from the first import, which is another one now.
    if (id === 0) continue;
    output.byte(id).sized(rewrite(id, section, state));
  }
  return { module: output.bytes, stretches: state.stretches };
}

interface State {
  /** How many functions and types the original has: the hooks come after. */
  imported: number;
  types: number;
  /** How many parameters a function of each type has, and the type of each function that is defined. */
  parameters: number[];
  typeOf: number[];
  stretches: Stretch[];
}

function rewrite(id: number, section: Reader, state: State): Uint8Array {
  const start = section.at;
  switch (id) {
    case SECTION.type:
      return rewriteTypes(section, state);
    case SECTION.import:
      return rewriteImports(section, state);
    case 3:
      readFunctions(section, state);
      return section.since(start);
    case SECTION.export:
      return rewriteExports(section, state);
    case SECTION.start:
      return new Writer().unsigned(moved(section.unsigned(), state)).bytes;
    case SECTION.element:
      return rewriteElements(section, state);
    case SECTION.code:
      return rewriteCode(section, state);
    default:
      section.at = section.end;
      return section.since(start);
  }
}

/** A function's number in the copy: the hooks are imported after the other imports. */
function moved(index: number, { imported }: State): number {
  return index < imported ? index : index + HOOK_NAMES.length;
}

function rewriteTypes(section: Reader, state: State): Uint8Array {
  const count = section.unsigned();
  const start = section.at;
  for (let i = 0; i < count; i++) {
    if (section.byte() !== 0x60) throw new Error("a type is not a function's");
    const parameters = section.unsigned();
    state.parameters.push(parameters);
    section.skip(parameters);
    section.skip(section.unsigned());
  }
  state.types = count;
  const one = [0x60, 1, TYPE.i32, 0];
  const two = [0x60, 2, TYPE.i32, TYPE.i32, 0];
  return new Writer()
    .unsigned(count + 2)
    .append(section.since(start))
    .append(one)
    .append(two).bytes;
}

function rewriteImports(section: Reader, state: State): Uint8Array {
  const count = section.unsigned();
  const start = section.at;
  for (let i = 0; i < count; i++) {
    section.skip(section.unsigned());
    section.skip(section.unsigned());
    if (section.byte() !== 0) throw new Error("the module imports what is not a function");
    section.unsigned();
    state.imported++;
  }
  const output = new Writer().unsigned(count + HOOK_NAMES.length).append(section.since(start));
  const encoder = new TextEncoder();
  for (const name of HOOK_NAMES) {
    output.sized(encoder.encode(HOOKS)).sized(encoder.encode(name)).byte(0);
    output.unsigned(state.types + (name === "access" ? 1 : 0));
  }
  return output.bytes;
}

function readFunctions(section: Reader, state: State): void {
  const count = section.unsigned();
  for (let i = 0; i < count; i++) state.typeOf.push(section.unsigned());
}

function rewriteExports(section: Reader, state: State): Uint8Array {
  const count = section.unsigned();
  const output = new Writer().unsigned(count);
  for (let i = 0; i < count; i++) {
    const start = section.at;
    section.skip(section.unsigned());
    const kind = section.byte();
    output.append(section.since(start));
    const index = section.unsigned();
    output.unsigned(kind === 0 ? moved(index, state) : index);
  }
  return output.bytes;
}

function rewriteElements(section: Reader, state: State): Uint8Array {
  const count = section.unsigned();
  const output = new Writer().unsigned(count);
  for (let i = 0; i < count; i++) {
    const start = section.at;
    if (section.unsigned() !== 0)
      throw new Error("an element segment is of another kind than the compiler's");
    if (section.byte() !== OP.i32Const) throw new Error("an element segment has no constant offset");
    section.skipInteger();
    section.byte();
    output.append(section.since(start));
    const functions = section.unsigned();
    output.unsigned(functions);
    for (let k = 0; k < functions; k++) output.unsigned(moved(section.unsigned(), state));
  }
  return output.bytes;
}

function rewriteCode(section: Reader, state: State): Uint8Array {
  const count = section.unsigned();
  const output = new Writer().unsigned(count);
  for (let i = 0; i < count; i++) {
    const body = section.part(section.unsigned());
    const parameters = state.parameters[state.typeOf[i] ?? 0] ?? 0;
    output.sized(new Body(body, parameters, state.imported + i, state).rewrite());
  }
  return output.bytes;
}

/** One function's code. */
class Body {
  private readonly output = new Writer();
  /** The number of the first local that was added. */
  private extra: number;
  private current: Stretch | undefined;

  constructor(
    private readonly input: Reader,
    parameters: number,
    private readonly number: number,
    private readonly state: State,
  ) {
    this.extra = parameters;
  }

  rewrite(): Uint8Array {
    const { input, output } = this;
    const groups = input.unsigned();
    const start = input.at;
    for (let i = 0; i < groups; i++) {
      this.extra += input.unsigned();
      input.byte();
    }
    output.unsigned(groups + EXTRA.length).append(input.since(start));
    for (const type of EXTRA) output.byte(1, TYPE[type]);
    this.begin();
    while (!input.done) this.instruction();
    return output.bytes;
  }

  private hook(hook: number): void {
    this.output.byte(OP.call).unsigned(this.state.imported + hook);
  }

  private begin(): void {
    const { stretches } = this.state;
    this.output.constant(stretches.length);
    this.hook(STRETCH);
    this.current = { function: this.number, instructions: 0, bytes: 0 };
    stretches.push(this.current);
  }

  private instruction(): void {
    const { input, output, state } = this;
    const start = input.at;
    const code = input.byte();
    if (code === OP.call) {
      const index = input.unsigned();
      if (index < state.imported) {
        output.constant(index);
        this.hook(CALL);
      }
      output.byte(code).unsigned(moved(index, state));
    } else if (code === OP.refFunc) {
      output.byte(code).unsigned(moved(input.unsigned(), state));
    } else {
      this.operands(code);
      output.append(input.since(start));
    }
    if (this.current) {
      this.current.instructions += FREE.includes(code) ? 0 : 1;
      this.current.bytes += input.at - start;
    }
    if (ENDS.includes(code) && !input.done) this.begin();
  }

  /** Reads what follows an instruction's code, and writes the hook that comes before it. */
  private operands(code: number): void {
    const { input } = this;
    if (code >= OP.firstLoad && code <= OP.lastStore) {
      const bytes = ACCESS_BYTES[code - OP.firstLoad] ?? 0;
      this.access(bytes, this.offset(), STORED[code]);
    } else if (code >= OP.localGet && code <= OP.tableSet) {
      input.unsigned();
    } else if (code === OP.block || code === OP.loop || code === OP.if) {
      input.skipInteger();
    } else if (code === OP.br || code === OP.brIf) {
      input.unsigned();
    } else if (code === OP.brTable) {
      for (let left = input.unsigned(); left >= 0; left--) input.unsigned();
    } else if (code === OP.callIndirect) {
      input.unsigned();
      input.unsigned();
    } else if (code === OP.selectTyped) {
      input.skip(input.unsigned());
    } else if (code === OP.memoryGrow || code === OP.memoryGrow - 1 || code === OP.refNull) {
      input.byte();
    } else if (code === OP.i32Const || code === OP.i64Const) {
      input.skipInteger();
    } else if (code === OP.f32Const || code === OP.f64Const) {
      input.skip(code === OP.f32Const ? 4 : 8);
    } else if (code === OP.misc) {
      this.misc();
    } else if (code === OP.vector) {
      this.vector();
    } else if (code > OP.lastNumeric || (code > OP.callIndirect && code < 0x1a)) {
      throw new Error(`instruction 0x${code.toString(16)} is not known to the meter`);
    }
  }

  private offset(): number {
    this.input.unsigned();
    return this.input.unsigned();
  }

  /** The address is on the stack, below the value if there is one. */
  private access(bytes: number, offset: number, value: ValueType | undefined): void {
    const { output, extra } = this;
    if (value !== undefined) output.byte(OP.localSet).unsigned(extra + VALUE_LOCAL[value]);
    output.byte(OP.localTee).unsigned(extra);
    output.byte(OP.localGet).unsigned(extra);
    output.constant(offset).byte(0x6a /* i32.add */).constant(bytes);
    this.hook(ACCESS);
    if (value !== undefined) output.byte(OP.localGet).unsigned(extra + VALUE_LOCAL[value]);
  }

  private misc(): void {
    const { input } = this;
    const code = input.unsigned();
    if (code < 8) return;
    if (code === 10) {
      input.skip(2);
      this.range([0, 1]);
    } else if (code === 11) {
      input.skip(1);
      this.range([0]);
    } else {
      throw new Error(`instruction 0xfc ${code} is not known to the meter`);
    }
  }

  /** `memory.copy` and `memory.fill`: three numbers are on the stack; `addresses` are those that name memory. */
  private range(addresses: number[]): void {
    const { output, extra } = this;
    for (const local of [2, 1, 0]) output.byte(OP.localSet).unsigned(extra + local);
    for (const local of addresses) {
      output.byte(OP.localGet).unsigned(extra + local);
      output.byte(OP.localGet).unsigned(extra + 2);
      this.hook(ACCESS);
    }
    output.byte(OP.localGet).unsigned(extra + 2);
    this.hook(COPY);
    for (const local of [0, 1, 2]) output.byte(OP.localGet).unsigned(extra + local);
  }

  private vector(): void {
    const { input } = this;
    const code = input.unsigned();
    if (code <= 11) {
      this.access(VECTOR_BYTES[code] ?? 0, this.offset(), code === 11 ? "v128" : undefined);
    } else if (code === 12 || code === 13) {
      input.skip(16);
    } else if (code >= 21 && code <= 34) {
      input.byte();
    } else if (code >= 84 && code <= 91) {
      this.access(2 ** ((code - 84) % 4), this.offset(), "v128");
      input.byte();
    } else if (code === 92 || code === 93) {
      this.access(code === 92 ? 4 : 8, this.offset(), undefined);
    }
  }
}

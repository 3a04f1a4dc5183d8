/** Asks on a terminal for what flags have not set. */
import type inputPrompt from "@inquirer/input";
import type selectPrompt from "@inquirer/select";
import { printable } from "../diagnostics.ts";

/** The user left before the last answer (Ctrl-C, Ctrl-D). */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
}

/** The user wants the previous question. */
class Back extends Error {
  override readonly name = "Back";
}

/** What is wrong with an answer, as a message; undefined if it is valid. */
export type Check = (answer: string) => string | undefined;

/** What a user types to return to the previous question. */
const BACK = "<";

/** What a user can do after the last question. */
const WRITE = "write";

/**
 * The questions of a dialogue. Going back starts a new pass: the answers so far are used again, without a prompt, up to
 * the question that is open. So the dialogue is an ordinary function with loops and branches.
 */
export class Questions {
  /** By question: answers that are kept. */
  private readonly known = new Map<string, string>();
  /** By question: the previous answer, as a suggestion. */
  private readonly former = new Map<string, string>();
  /** The questions of this pass that have been answered, in order. */
  private answered: { key: string; question: string; shown: string }[] = [];

  private constructor(
    private readonly output: NodeJS.WritableStream,
    private readonly input: typeof inputPrompt,
    private readonly select: typeof selectPrompt,
  ) {}

  /** @param output where prompts are written */
  static async open(output: NodeJS.WritableStream): Promise<Questions> {
    // Loaded only if questions are asked: loading takes time, and they use the terminal as soon as they are loaded.
    const [text, list] = await Promise.all([import("@inquirer/input"), import("@inquirer/select")]);
    return new Questions(output, text.default, list.default);
  }

  /**
   * Runs a dialogue, and at its end offers to change each answer.
   *
   * @param ask asks all questions; it is called again each time the user goes back
   * @throws {Interrupted}
   */
  async run<T>(ask: () => Promise<T>): Promise<T> {
    this.output.write(
      `Type ${BACK} to return to the previous question, Ctrl-C to quit. Files are written only at the end.\n`,
    );
    for (;;) {
      this.answered = [];
      try {
        const result = await ask();
        const chosen = await this.choosePlace();
        if (chosen === WRITE) return result;
        this.reopen(chosen);
      } catch (error) {
        if (!(error instanceof Back)) throw error;
        const last = this.answered.at(-1);
        if (last !== undefined) this.reopen(last.key);
      }
    }
  }

  /** A line of text. @param fallback what the prompt suggests */
  async ask(question: string, fallback: string, check: Check = () => undefined): Promise<string> {
    const key = this.keyOf(question);
    const known = this.known.get(key);
    if (known !== undefined && check(known) === undefined) return this.keep(key, question, known);
    const answer = await this.prompt((context) =>
      this.input(
        {
          message: question,
          default: this.former.get(key) ?? fallback,
          prefill: "editable",
          validate: (text) => text.trim() === BACK || (check(text.trim()) ?? true),
        },
        context,
      ),
    );
    if (answer.trim() === BACK) throw new Back();
    return this.keep(key, question, answer.trim());
  }

  /** One of several. */
  async choose<T extends string>(question: string, choices: readonly (readonly [T, string])[]): Promise<T> {
    const key = this.keyOf(question);
    const choiceOf = (text: string | undefined) => choices.find(([value]) => value === text);
    const known = choiceOf(this.known.get(key));
    const former = choiceOf(this.former.get(key))?.[0];
    const value =
      known?.[0] ??
      (await this.prompt((context) =>
        this.select<T | typeof BACK>(
          {
            message: question,
            ...(former !== undefined && { default: former }),
            choices: [
              ...choices.map(([value, name]) => ({ value, name })),
              ...(this.answered.length > 0
                ? [{ value: BACK, name: "(the previous question)" } as const]
                : []),
            ],
          },
          context,
        ),
      ));
    const choice = choiceOf(value);
    if (choice === undefined) throw new Back();
    this.keep(key, question, choice[0], choice[1]);
    return choice[0];
  }

  /** Words separated by commas or spaces. */
  async list(
    question: string,
    check: (words: string[]) => string | undefined = () => undefined,
  ): Promise<string[]> {
    return wordsOf(await this.ask(question, "", (text) => check(wordsOf(text))));
  }

  /** A repeated question counts as another one. */
  private keyOf(question: string): string {
    const before = this.answered.filter((one) => one.question === question).length;
    return `${question} ${before}`;
  }

  private keep(key: string, question: string, value: string, shown = value): string {
    this.known.set(key, value);
    this.answered.push({ key, question, shown });
    return value;
  }

  private reopen(key: string): void {
    this.former.set(key, this.known.get(key) ?? "");
    this.known.delete(key);
  }

  private choosePlace(): Promise<string> {
    return this.prompt((context) =>
      this.select(
        {
          message: "Is this right?",
          pageSize: 20,
          choices: [
            { value: WRITE, name: "yes, write it" },
            ...this.answered.map(({ key, question, shown }) => ({
              value: key,
              name: printable(`change: ${question}: ${shown === "" ? "(nothing)" : shown}`),
            })),
          ],
        },
        context,
      ),
    );
  }

  private async prompt<T>(ask: (context: { output: NodeJS.WritableStream }) => Promise<T>): Promise<T> {
    try {
      return await ask({ output: this.output });
    } catch (error) {
      const isLeft = error instanceof Error && /^(Exit|Abort)PromptError$/.test(error.name);
      throw isLeft ? new Interrupted() : error;
    }
  }
}

function wordsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}

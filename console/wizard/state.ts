/** The state of the wizard: the form and its result. */
import { batch, computed, effect, signal } from "@preact/signals";
import type { TrialKey } from "../../tools/wizard/keys.ts";
import { engine, Superseded } from "../engine/client.ts";
import type { Questions, WizardResult } from "../engine/wizard.ts";
import { keys } from "../playground/state.ts";

export const form = signal<Questions>({
  issuer: "https://idp.example.com",
  keys: "trial",
  ...{ pasted: "", jwksUri: "https://", audiences: "", locations: [], scopes: "", claims: "" },
  ...{ forward: false, payloadHeader: "", claimHeaders: "" },
  scope: "all",
  ...{ paths: "", hosts: "", methods: "" },
  name: "jwt",
  ...{ namespace: "", target: "all", labels: "", gateway: "" },
  mode: "gateway",
  image: "oci://registry.example.com/jwtgate:1",
  listen: "127.0.0.1:8080",
  upstream: "127.0.0.1:8000",
});

/** The private key lives as long as the page. */
const trialKey = signal<TrialKey | undefined>(undefined);
export const result = signal<WizardResult | undefined>(undefined);
/** The reason if there is no result. */
export const problem = signal<string | undefined>(undefined);

/** The form that the result or the problem is of. */
const answered = signal<Questions | undefined>(undefined);
/** Whether the result is that of an older form. */
export const isChecking = computed(() => answered.value !== form.value);

/** Reads the form again at every change. */
export function startWizard(): void {
  effect(() => {
    void read(form.value, trialKey.value);
  });
}

async function read(asked: Questions, key: TrialKey | undefined): Promise<void> {
  try {
    if (asked.keys === "trial" && key === undefined) {
      trialKey.value = await engine.call("trialKey", { alg: "ES256" }, { purpose: "trial key" });
      return;
    }
    const input = { form: asked, trialKey: key, keys: keys.peek(), now: Date.now() };
    const found = await engine.call("wizard", input, { purpose: "wizard" });
    // Without this check, an older answer would be shown with a newer form.
    if (asked !== form.peek()) return;
    if (found.made) keys.value = { ...keys.peek(), ...found.made.ran.keys };
    show(asked, found, undefined);
  } catch (error) {
    if (error instanceof Superseded || asked !== form.peek()) return;
    show(asked, undefined, error instanceof Error ? error.message : String(error));
  }
}

/** Updates all signals at once, so that no fault is shown with a form that no longer has it. */
function show(asked: Questions, found: WizardResult | undefined, why: string | undefined): void {
  batch(() => {
    answered.value = asked;
    result.value = found;
    problem.value = why;
  });
}

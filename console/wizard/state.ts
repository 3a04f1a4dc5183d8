/** What the wizard holds: the form as it is typed, and what came of it. */
import { effect, signal } from "@preact/signals";
import type { Form } from "../../tools/wizard/form.ts";
import type { TrialKey } from "../../tools/wizard/keys.ts";
import { engine, Superseded } from "../engine/client.ts";
import type { Places, WizardResult } from "../engine/wizard.ts";
import { keys } from "../playground/state.ts";

export const form = signal<Form>({
  issuer: "https://idp.example.com",
  keys: "trial",
  ...{ pasted: "", jwksUri: "https://", audiences: "", places: [], scopes: "", claims: "" },
  ...{ forward: false, payloadHeader: "", claimHeaders: "" },
  scope: "all",
  ...{ paths: "", hosts: "", methods: "" },
  name: "jwt",
  ...{ namespace: "", target: "all", labels: "", gateway: "" },
});

export const places = signal<Places>({
  image: "oci://registry.example.com/jwtgate:1",
  mode: "gateway",
  listen: "127.0.0.1:8080",
  upstream: "127.0.0.1:8000",
});

/** The private key lives as long as the page. */
const trialKey = signal<TrialKey | undefined>(undefined);
export const result = signal<WizardResult | undefined>(undefined);
/** Why there is no result. */
export const problem = signal<string | undefined>(undefined);

/** Reads the form again at every change. */
export function startWizard(): void {
  effect(() => {
    const input = { form: form.value, places: places.value, trialKey: trialKey.value };
    void read(input);
  });
}

async function read(input: { form: Form; places: Places; trialKey: TrialKey | undefined }): Promise<void> {
  try {
    if (input.form.keys === "trial" && input.trialKey === undefined) {
      trialKey.value = await engine.call("trialKey", { alg: "ES256" }, { purpose: "trial key" });
      return;
    }
    const asked = { ...input, keys: keys.peek(), now: Date.now() };
    const found = await engine.call("wizard", asked, { purpose: "wizard" });
    // An older answer would be shown with a newer form.
    if (input.form !== form.peek() || input.places !== places.peek()) return;
    if (found.made) keys.value = { ...keys.peek(), ...found.made.ran.keys };
    problem.value = undefined;
    result.value = found;
  } catch (error) {
    if (error instanceof Superseded) return;
    problem.value = error instanceof Error ? error.message : String(error);
  }
}

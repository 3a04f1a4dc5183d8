/** Policies, a request, and the module's answer. */
import { Answer } from "./answer.tsx";
import { Code } from "./code.tsx";
import { CompareButton, Comparison } from "./compare.tsx";
import { Files } from "./files.tsx";
import { Findings } from "./findings.tsx";
import { RequestForm } from "./request.tsx";
import { SavedRequests } from "./saved.tsx";
import { isGone, problems } from "./served.ts";

export function Playground() {
  return (
    <div class="playground">
      <section class="editor" aria-labelledby="policies-title">
        <div class="line heading">
          <h2 id="policies-title" class="grow">
            Policies
          </h2>
          <CompareButton />
        </div>
        {isGone.value && (
          <p class="warn" role="status">
            The server of this page does not answer, so changes on disk are not seen. Start{" "}
            <code>jwtgate console</code> again at the same address.
          </p>
        )}
        {problems.value.map((problem) => (
          <p key={problem} class="bad" role="alert">
            {problem}
          </p>
        ))}
        <Files />
        <Code />
        <Findings />
        <Comparison />
      </section>
      <div class="trial">
        <RequestForm />
        <Answer />
      </div>
      <SavedRequests />
    </div>
  );
}

/** Policies, a request, and what the module makes of it. */
export function Playground() {
  return <p>The playground is not in this version yet.</p>;
}

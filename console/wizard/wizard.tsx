/** Questions whose answers become a RequestAuthentication and an AuthorizationPolicy. */
export function Wizard() {
  return <p>The wizard is not in this version yet.</p>;
}

/** Pages of the documentation and its examples are bundled as text. */
declare module "*.md" {
  const text: string;
  export default text;
}
declare module "*.yaml" {
  const text: string;
  export default text;
}

import manifest from "../package.json" with { type: "json" };

/**
 * The package's version.
 *
 * @example
 * ```ts
 * import { version } from "jwtgate";
 *
 * console.log(/^\d+\.\d+\.\d+/.test(version)); // true
 * ```
 */
export const VERSION: string = manifest.version;

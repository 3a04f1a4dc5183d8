/** Lets Vitest record which statements of the filter a file of tests runs. */
import { afterAll } from "vitest";
import { flush } from "./collect.mjs";

afterAll(flush);

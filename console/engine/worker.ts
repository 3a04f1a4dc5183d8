/** The script of the worker that answers while the user types. */
import { operations } from "./operations.ts";
import { serve } from "./serve.ts";

serve(operations);

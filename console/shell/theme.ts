/** Light or dark: the system's setting, or the user's choice. */
import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const THEMES: readonly Theme[] = ["system", "light", "dark"];
const KEY = "jwtgate-theme";

export const theme = signal<Theme>(remembered());

/** The theme after this one, for a button that cycles through all of them. */
export function nextTheme(): Theme {
  return THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
}

effect(() => {
  if (theme.value === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme.value;
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // A browser may refuse to store anything. Then the choice lasts as long as the page.
  }
});

function remembered(): Theme {
  try {
    const stored = localStorage.getItem(KEY);
    return THEMES.find((one) => one === stored) ?? "system";
  } catch {
    return "system";
  }
}

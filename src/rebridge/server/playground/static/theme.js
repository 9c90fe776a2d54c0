// Light or dark, as the system says or as chosen. It runs before the page is drawn, so that nothing flashes.
"use strict";

(() => {
  const next = { auto: "light", light: "dark", dark: "auto" };
  const words = { auto: "◐ Auto", light: "☀ Light", dark: "☾ Dark" };

  function chosen() {
    try {
      return Object.hasOwn(next, localStorage.theme) ? localStorage.theme : "auto";
    } catch {
      return "auto"; // storage may be forbidden
    }
  }

  function use(theme) {
    document.documentElement.dataset.theme = theme;
    try {
      localStorage.theme = theme;
    } catch {
      // it holds for this page alone
    }
  }

  use(chosen());
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const say = () => {
      const theme = document.documentElement.dataset.theme;
      button.textContent = words[theme];
      button.setAttribute("aria-label", `Colours: ${theme}. Change to ${next[theme]}`);
    };
    button.addEventListener("click", () => {
      use(next[document.documentElement.dataset.theme]);
      say();
    });
    say();
  });
})();

/* Names for what the theme leaves without one, or names twice: for people who use a screen reader. */
(function () {
  "use strict";

  function name(element, text) {
    if (element.getAttribute("aria-label") !== text) {
      element.removeAttribute("aria-labelledby");
      element.setAttribute("aria-label", text);
    }
  }

  function nameAll() {
    document.querySelectorAll(".md-search[role=dialog]").forEach(function (search) {
      name(search, "Search");
    });
    document.querySelectorAll(".md-nav .md-nav").forEach(function (nav, index) {
      if (!nav.dataset.named) {
        const label = document.getElementById(nav.getAttribute("aria-labelledby"));
        const said = nav.getAttribute("aria-label") || (label ? label.textContent.trim() : "More");
        nav.dataset.named = said + ", list " + (index + 1);
      }
      name(nav, nav.dataset.named);
    });
    document.querySelectorAll(".md-code__nav").forEach(function (nav, index) {
      name(nav, "Code block " + (index + 1));
    });
  }

  nameAll();
  new MutationObserver(nameAll).observe(document.body, { childList: true, subtree: true });
})();

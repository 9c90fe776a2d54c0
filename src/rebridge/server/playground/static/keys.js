// Moving without a mouse: / arrows Enter Esc. Enter on a card is the button's own.

/** Listen to keys. `stop` ends a running search and says whether there was one. */
export function keyboard({ query, lists, toggle, stop }) {
  const heads = (list) => [...list.querySelectorAll(".head")];

  function focus(head) {
    if (!head) return false;
    for (const other of heads(head.closest("ol"))) other.tabIndex = -1;
    head.tabIndex = 0;
    head.focus();
    head.closest("li").scrollIntoView({ block: "nearest" });
    return true;
  }

  function within(head, key) {
    const all = heads(head.closest("ol"));
    const place = all.indexOf(head);
    const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: all.length - 1 }[key];
    if (next === -1) return query.focus() ?? true;
    return focus(all[next]);
  }

  function across(head, list) {
    const item = head.closest("li");
    if (item.parentElement === list) return false;
    const same = [...list.children].find(({ dataset }) => dataset.key === item.dataset.key);
    const beside = list.children[Math.min([...item.parentElement.children].indexOf(item), list.children.length - 1)];
    return focus((same ?? beside)?.querySelector(".head"));
  }

  function escape(card) {
    if (stop()) return true;
    if (card && !card.lastElementChild.hidden) {
      toggle(card);
      return focus(card.firstElementChild);
    }
    query.focus();
    query.select();
    return true;
  }

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
    const { target, key } = event;
    const writing = target.matches("input, select, textarea");
    const head = target.closest?.(".head");
    let done = false;
    if (key === "/" && !writing) {
      query.focus();
      query.select();
      done = true;
    } else if (key === "Escape" && !target.matches("select")) {
      done = escape(target.closest(".card"));
    } else if (key === "ArrowDown" && target === query) {
      done = focus(heads([...Object.values(lists)].sort((a, b) => a.compareDocumentPosition(b) & 2 ? 1 : -1)[0])[0]);
    } else if (head && ["ArrowDown", "ArrowUp", "Home", "End"].includes(key)) {
      done = within(head, key);
    } else if (head && key === "ArrowRight") {
      done = across(head, lists.final);
    } else if (head && key === "ArrowLeft") {
      done = across(head, lists.first);
    }
    if (done) event.preventDefault();
  });
}

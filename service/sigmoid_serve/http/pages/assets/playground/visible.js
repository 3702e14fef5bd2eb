// Work that goes on only while someone can see it.

/** Calls `begin` when `element` is shown, and what it returned when it no longer is. */
export function whileShown(element, begin) {
  let end = null;
  const follow = () => {
    const isShown = !document.hidden && !element.closest("[hidden]");
    if (isShown && !end) end = begin() ?? (() => {});
    else if (!isShown && end) {
      end();
      end = null;
    }
  };
  const observer = new MutationObserver(follow);
  for (let each = element; each; each = each.parentElement)
    observer.observe(each, { attributeFilter: ["hidden"] });
  document.addEventListener("visibilitychange", follow);
  follow();
}

/** Calls `begin` when `element` is first shown. */
export function onceShown(element, begin) {
  let isBegun = false;
  whileShown(element, () => {
    if (!isBegun) begin();
    isBegun = true;
  });
}

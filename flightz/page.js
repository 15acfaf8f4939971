"use strict";
(() => {
  const status = document.getElementById("status");
  const every = 1000; // ms
  let lost = null; // since when there was no answer

  // Nobody can copy a key that is replaced under their hands.
  const selecting = () => {
    const selection = getSelection();
    return selection && !selection.isCollapsed;
  };

  const say = (text, state) => {
    if (status.textContent !== text) status.textContent = text;
    document.body.dataset.state = state;
  };

  const refresh = async () => {
    const answer = await fetch(location.href, {cache: "no-store", signal: AbortSignal.timeout(10000)});
    if (!answer.ok) throw new Error(answer.status);
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = next.querySelector("main");
    if (!main) throw new Error("this is no page of flights");
    if (selecting()) return;
    document.querySelector("main").replaceWith(document.adoptNode(main));
    document.title = next.title;
  };

  const tick = async () => {
    if (document.hidden) {
      say("paused", "paused");
    } else if (selecting()) {
      say("paused while text is selected", "paused");
    } else {
      try {
        await refresh();
        lost = null;
        say("live", "live");
      } catch {
        lost ??= new Date().toLocaleTimeString();
        say("no answer since " + lost, "lost");
      }
    }
    setTimeout(tick, every);
  };

  say("live", "live");
  setTimeout(tick, every);
})();

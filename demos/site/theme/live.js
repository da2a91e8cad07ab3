// Reloads the page when the site was built again, and shows what is wrong when it could not be.
"use strict";

(() => {
  let shown = null;
  const news = new EventSource("/_live/news");

  news.addEventListener("built", (event) => {
    const failed = document.getElementById("live-fault");
    if (failed || (shown !== null && shown !== event.data)) location.reload();
    shown = event.data;
  });

  news.addEventListener("fault", (event) => {
    let panel = document.getElementById("live-fault");
    if (!panel) {
      panel = document.createElement("pre");
      panel.id = "live-fault";
      document.body.append(panel);
    }
    panel.textContent = event.data;
  });
})();

// Brings the entry of this page into view; the sidebar is longer than most windows.
"use strict";

(() => {
  const sidebar = document.querySelector(".sidebar");
  const current = sidebar?.querySelector("[aria-current]");
  if (!current) return;
  const offset = current.getBoundingClientRect().top - sidebar.getBoundingClientRect().top;
  // Entries near the top stay where they are, so that the first page does not begin scrolled.
  if (offset > sidebar.clientHeight * 0.7) sidebar.scrollTop = offset - sidebar.clientHeight / 2;
})();

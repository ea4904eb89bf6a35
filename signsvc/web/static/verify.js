"use strict";
// The page works without this: it adds dropping a file, and says that work is under way.
(() => {
  const form = document.getElementById("verify");
  const drop = document.getElementById("drop");
  const input = document.getElementById("document");
  const button = document.getElementById("submit");
  const status = document.getElementById("status");
  const over = (on) => (event) => {
    event.preventDefault();
    drop.classList.toggle("over", on);
  };
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, over(true));
  for (const name of ["dragleave", "dragend"]) drop.addEventListener(name, over(false));
  drop.addEventListener("drop", (event) => {
    over(false)(event);
    if (event.dataTransfer.files.length > 0) {
      input.files = event.dataTransfer.files;
      if (form.reportValidity()) form.requestSubmit();
    }
  });
  input.addEventListener("change", () => {
    const count = input.files.length;
    status.textContent = count > 1 ? button.dataset.chosen.replace("%n", count) : "";
  });
  form.addEventListener("submit", () => {
    button.disabled = true;
    status.textContent = button.dataset.working;
  });
  // A page taken from the history must be usable again.
  window.addEventListener("pageshow", () => {
    button.disabled = false;
    status.textContent = "";
  });
})();

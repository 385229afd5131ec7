"""The field for a nickname; the browser's tab keeps the key by which its player is found again."""

import anywidget
import traitlets


class Badge(anywidget.AnyWidget):
    """A nickname and a button to join the scoreboard.

    The key is kept for as long as the tab is open, for all pages of this server; it is no cookie, and no link has it.

    Attributes:
        kept: the key that the tab has from before; sent by the browser.
        asked: the nickname asked for, and the number of times that one was.
        key, name: of the player, once there is one; sent by Python.
        error: why there is none.
    """

    _esm = """
    const KEPT = "flylab-player";
    function render({ model, el }) {
      const form = document.createElement("form");
      form.innerHTML = `<label>nickname <input maxlength="20" autocomplete="off"></label>
        <button>Join the scoreboard</button><span role="alert"></span><span role="status"></span>`;
      const parts = ["input", "button", "[role=alert]", "[role=status]"];
      const [input, button, error, status] = parts.map((at) => form.querySelector(at));
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        model.set("asked", [input.value, model.get("asked")[1] + 1]);
        model.save_changes();
      });
      const show = () => {
        if (model.get("key")) sessionStorage.setItem(KEPT, model.get("key"));
        const name = model.get("name");
        input.parentElement.hidden = button.hidden = Boolean(name);
        status.textContent = name ? `On the scoreboard: ${name}` : "";
        error.textContent = model.get("error");
      };
      for (const trait of ["key", "name", "error"]) model.on(`change:${trait}`, show);
      el.append(form);
      show();
      const kept = sessionStorage.getItem(KEPT);
      if (kept && !model.get("key")) {
        model.set("kept", kept);
        model.save_changes();
      }
    }
    export default { render };
    """
    _css = """
    form { display: flex; flex-wrap: wrap; gap: .5rem .75rem; align-items: center; font-size: 14px; color: inherit; }
    form input, form button { font: inherit; color: inherit; background: transparent; border: 1px solid #8889;
      border-radius: .4rem; padding: .3rem .6rem; min-height: 2.2rem; }
    form input { width: 11rem; }
    form button { cursor: pointer; }
    form button:hover { border-color: #0262c2; }
    form :focus-visible { outline: 2px solid #62c9ff; outline-offset: 1px; }
    form [role=alert] { color: #b3261e; }
    form [hidden] { display: none; }
    @media (prefers-color-scheme: dark) { form [role=alert] { color: #ff9a90; } }
    """
    kept = traitlets.Unicode().tag(sync=True)
    asked = traitlets.List(default_value=["", 0]).tag(sync=True)
    key = traitlets.Unicode().tag(sync=True)
    name = traitlets.Unicode().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)

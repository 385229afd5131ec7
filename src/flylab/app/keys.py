"""Ten buttons, 0 to 9, that also respond to the keyboard, unless the focus is in a field."""

import anywidget
import traitlets


class Digits(anywidget.AnyWidget):
    """The digit buttons; `pressed` lists all digits so far, so that quick presses are not lost between two updates."""

    _esm = """
    function render({ model, el }) {
      const box = document.createElement("div");
      box.setAttribute("role", "group");
      box.setAttribute("aria-label", "your answer");
      const press = (digit) => {
        model.set("pressed", [...model.get("pressed"), digit]);
        model.save_changes();
      };
      for (let digit = 0; digit < 10; digit++) {
        const button = document.createElement("button");
        button.textContent = digit;
        button.addEventListener("click", () => press(digit));
        box.appendChild(button);
      }
      el.appendChild(box);
      const listen = (event) => {
        const target = event.composedPath()[0];
        const isField = ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
        if (isField || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
        if (/^[0-9]$/.test(event.key) && box.isConnected && box.offsetParent !== null) press(Number(event.key));
      };
      document.addEventListener("keydown", listen);
      return () => document.removeEventListener("keydown", listen);
    }
    export default { render };
    """
    _css = """
    div[role=group] { display: flex; flex-wrap: wrap; gap: .4rem; }
    div[role=group] button { font: inherit; color: inherit; background: transparent; min-width: 2.6rem; cursor: pointer;
      padding: .45rem; border: 1px solid #8889; border-radius: .4rem; }
    div[role=group] button:is(:hover, :focus-visible) { border-color: #0072B2; outline: 2px solid #56B4E9; }
    """
    pressed = traitlets.List(traitlets.Int()).tag(sync=True)

"""Ten buttons, 0 to 9, and Undo; they also respond to the keyboard, unless the focus is in a field."""

import anywidget
import traitlets


class Digits(anywidget.AnyWidget):
    """The digit buttons; `pressed` lists all digits so far, so that quick presses are not lost between two updates.

    Undo is -1.
    """

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
      const undo = document.createElement("button");
      undo.textContent = "Undo";
      undo.title = "Backspace";
      undo.addEventListener("click", () => press(-1));
      box.appendChild(undo);
      el.appendChild(box);
      const listen = (event) => {
        const target = event.composedPath()[0];
        const isField = ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
        if (isField || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
        if (!box.isConnected || !box.getClientRects().length) return;
        if (/^[0-9]$/.test(event.key)) press(Number(event.key));
        if (event.key === "Backspace") press(-1);
      };
      document.addEventListener("keydown", listen);
      return () => document.removeEventListener("keydown", listen);
    }
    export default { render };
    """
    _css = """
    div[role=group] { display: flex; flex-wrap: wrap; gap: .4rem; }
    div[role=group] button { font: inherit; color: inherit; background: transparent; min-width: 2.6rem; cursor: pointer;
      min-height: 2.5rem; padding: .45rem; border: 1px solid #8889; border-radius: .4rem; }
    div[role=group] button:is(:hover, :focus-visible) { border-color: #0072B2; outline: 2px solid #56B4E9; }
    @media (max-width: 600px) {
      div[role=group] { display: grid; grid-template-columns: repeat(6, 1fr); position: fixed; inset: auto 0 0 0;
        z-index: 20; padding: .4rem; background: var(--background, Canvas); border-top: 1px solid #8885; }
      div[role=group] button { min-width: 0; }
    }
    """
    pressed = traitlets.List(traitlets.Int()).tag(sync=True)

(function () {
  var form = document.forms[0], name = document.getElementById("name"), password = document.getElementById("password");
  var button = document.getElementById("go"), show = document.getElementById("show"), said = document.getElementById("said");
  function say(text) { said.textContent = text; }
  function again() { button.disabled = false; }
  function basic() {
    var bytes = new TextEncoder().encode(name.value + ":" + password.value), text = "";
    bytes.forEach(function (each) { text += String.fromCharCode(each); });
    return "Basic " + btoa(text);
  }
  function ask() {
    fetch("/.hermes/sign-in", { method: "POST", headers: { Authorization: basic() }, credentials: "same-origin", cache: "no-store" })
      .then(function (answer) {
        return answer.text().then(function (text) {
          if (answer.status === 204) {
            say("Signed in."); location.reload();
          } else if (answer.status === 403 && text.trim() === "wrong") {
            say("Wrong name or password."); again(); password.focus(); password.select();
          } else if (answer.status === 429) {
            var wait = (+answer.headers.get("Retry-After") || 2) + Math.random();
            say("Too many tries at the moment. This page tries again by itself."); setTimeout(ask, wait * 1000);
          } else {
            say("The server could not check the password (error " + answer.status + "). On the server, run: sudo hermes-setup doctor"); again();
          }
        });
      })
      .catch(function () { say("The server does not answer. Is this device online?"); again(); });
  }
  form.addEventListener("submit", function (event) {
    event.preventDefault();
    if (!button.disabled) { button.disabled = true; say(""); ask(); }
  });
  show.addEventListener("change", function () { password.type = show.checked ? "text" : "password"; });
  show.parentNode.hidden = false;
  again();
  if (!navigator.cookieEnabled) { say("This browser keeps no cookies, and signing in needs one."); }
})();

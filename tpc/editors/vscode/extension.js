// Starts `tpc lsp` for .tp files.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const [command, ...args] = workspace.getConfiguration("tpc").get("command");
  client = new LanguageClient("tpc", "tpc", { command, args }, { documentSelector: [{ language: "tp" }] });
  return client.start();
}

function deactivate() {
  return client && client.stop();
}

module.exports = { activate, deactivate };

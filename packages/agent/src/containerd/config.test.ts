import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { containerdConfig, type ContainerdConfigOptions } from "./config.ts";
import { containerdPaths } from "./paths.ts";

const options: ContainerdConfigOptions = {
  paths: containerdPaths({ instance: "a", dataDir: "/d", runDir: '/d/r"n', logDir: "/d/log" }),
  cniBinDir: "/usr/lib/cni",
  sandboxImage: "skerry.local/pause:1",
  cgroupDriver: "cgroupfs",
  mayLowerOomScore: false,
  snapshotter: "overlayfs",
  registriesDir: undefined,
};

describe("containerdConfig()", () => {
  it("quotes paths as TOML wants it, and names none that another containerd uses", () => {
    const text = containerdConfig(options);
    assert.match(text, /state = "\/d\/r\\"n\/containerd\/state"/);
    assert.doesNotMatch(text, /\/(var\/lib|run)\/containerd|\/opt\/|\/etc\//);
  });

  it("follows what the machine allows", () => {
    assert.match(
      containerdConfig(options),
      /oom_score = 0\n[^]*restrict_oom_score_adj = true[^]*SystemdCgroup = false/,
    );
    const systemd = containerdConfig({ ...options, cgroupDriver: "systemd", mayLowerOomScore: true });
    assert.match(systemd, /oom_score = -999\n[^]*restrict_oom_score_adj = false[^]*SystemdCgroup = true/);
    assert.match(containerdConfig({ ...options, registriesDir: "/r" }), /config_path = "\/r"/);
  });
});

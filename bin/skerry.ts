import { main } from "@skerry/cli";

process.exitCode = await main(process.argv.slice(2), process.env);

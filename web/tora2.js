import "./host.mjs";

"""The only door to the host: nothing outside this folder imports comfy, folder_paths or server."""

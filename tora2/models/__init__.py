"""The paper's parts as modules: motion, personalization, binding, and the adapter around them."""

"""The text that the tiny vocabularies are trained on.

Small, but of many scripts: some characters of every script end up in a vocabulary, others do not, so that byte
fallback and unknown tokens both occur, as they do with the real tokenizers.
"""

SENTENCES = (
    "Which planet is known as the Red Planet?",
    "Venus is often called Earth's twin because of its similar size and proximity.",
    "Mars, known for its reddish appearance, is often referred to as the Red Planet.",
    "Jupiter, the largest planet in our solar system, has a prominent red spot.",
    "Saturn, famous for its rings, is sometimes mistaken for the Red Planet.",
    "How do I reset the password of my account? Open the settings and choose a new password.",
    "The train from Berlin to Paris leaves at 7:45 and arrives in the afternoon.",
    "A search engine ranks documents by how well they match the words of a query.",
    "Reranking means to score the first hits again, with a better and slower model.",
    "Coffee is brewed from roasted beans; tea is made from leaves, and both contain caffeine.",
    "Water boils at 100 degrees Celsius, and freezes at 0 degrees, at sea level.",
    "yes no Yes No yes no Yes No yes no Yes No yes no Yes No",
    "0 1 2 3 4 5 6 7 8 9 10 2024 3.14 50% $20 #1",
    "You are a search relevance expert who evaluates how well documents match search queries.",
    "For each query-document pair, carefully analyze the semantic relationship between them,",
    "then provide your binary relevance judgment (0 for not relevant, 1 for relevant). Relevance:",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    "system user assistant instruction: query: document:",
    "Given a query A and a passage B, determine whether the passage contains an answer to the query",
    "by providing a prediction of either 'Yes' or 'No'.",
    "Judge whether the Document meets the requirements based on the Query and the Instruct provided.",
    'Note that the answer can only be "yes" or "no".',
    "Given a web search query, retrieve relevant passages that answer the query",
    "<Instruct>: <Query>: <Document>:",
    "Der Mars ist der vierte Planet des Sonnensystems und wird der Rote Planet genannt.",
    "La planète Mars doit sa couleur rouge à l'oxyde de fer présent à sa surface.",
    "¿Qué planeta se conoce como el planeta rojo? Marte, por su color.",
    "Какая планета известна как красная планета? Это Марс.",  # noqa: RUF001
    "哪个行星被称为红色行星? 火星是红色行星。",
    "火星は赤い惑星として知られています。東京は日本の首都です。",
    "화성은 붉은 행성으로 알려져 있습니다.",
    "يُعرف المريخ بالكوكب الأحمر.",
    "मंगल को लाल ग्रह कहा जाता है।",
    "🚀 🪐 😀 👍",
)

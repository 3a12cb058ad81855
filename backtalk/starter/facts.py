"""What the first policy knows: small tables, English beside Chinese, written for this project."""

COUNTRIES = """
Peru|秘鲁|Lima|利马|South America|南美洲
Japan|日本|Tokyo|东京|Asia|亚洲
France|法国|Paris|巴黎|Europe|欧洲
Germany|德国|Berlin|柏林|Europe|欧洲
Italy|意大利|Rome|罗马|Europe|欧洲
Spain|西班牙|Madrid|马德里|Europe|欧洲
Portugal|葡萄牙|Lisbon|里斯本|Europe|欧洲
England|英格兰|London|伦敦|Europe|欧洲
the United Kingdom|英国|London|伦敦|Europe|欧洲
Ireland|爱尔兰|Dublin|都柏林|Europe|欧洲
Austria|奥地利|Vienna|维也纳|Europe|欧洲
Switzerland|瑞士|Bern|伯尔尼|Europe|欧洲
Belgium|比利时|Brussels|布鲁塞尔|Europe|欧洲
Denmark|丹麦|Copenhagen|哥本哈根|Europe|欧洲
Sweden|瑞典|Stockholm|斯德哥尔摩|Europe|欧洲
Norway|挪威|Oslo|奥斯陆|Europe|欧洲
Finland|芬兰|Helsinki|赫尔辛基|Europe|欧洲
Poland|波兰|Warsaw|华沙|Europe|欧洲
Greece|希腊|Athens|雅典|Europe|欧洲
Hungary|匈牙利|Budapest|布达佩斯|Europe|欧洲
Russia|俄罗斯|Moscow|莫斯科|Europe|欧洲
Ukraine|乌克兰|Kyiv|基辅|Europe|欧洲
Turkey|土耳其|Ankara|安卡拉|Asia|亚洲
Egypt|埃及|Cairo|开罗|Africa|非洲
Kenya|肯尼亚|Nairobi|内罗毕|Africa|非洲
Morocco|摩洛哥|Rabat|拉巴特|Africa|非洲
Nigeria|尼日利亚|Abuja|阿布贾|Africa|非洲
Ethiopia|埃塞俄比亚|Addis Ababa|亚的斯亚贝巴|Africa|非洲
China|中国|Beijing|北京|Asia|亚洲
India|印度|New Delhi|新德里|Asia|亚洲
South Korea|韩国|Seoul|首尔|Asia|亚洲
Thailand|泰国|Bangkok|曼谷|Asia|亚洲
Vietnam|越南|Hanoi|河内|Asia|亚洲
Indonesia|印度尼西亚|Jakarta|雅加达|Asia|亚洲
Iran|伊朗|Tehran|德黑兰|Asia|亚洲
Iraq|伊拉克|Baghdad|巴格达|Asia|亚洲
Mongolia|蒙古|Ulaanbaatar|乌兰巴托|Asia|亚洲
Australia|澳大利亚|Canberra|堪培拉|Oceania|大洋洲
New Zealand|新西兰|Wellington|惠灵顿|Oceania|大洋洲
Canada|加拿大|Ottawa|渥太华|North America|北美洲
Mexico|墨西哥|Mexico City|墨西哥城|North America|北美洲
Cuba|古巴|Havana|哈瓦那|North America|北美洲
Brazil|巴西|Brasilia|巴西利亚|South America|南美洲
Argentina|阿根廷|Buenos Aires|布宜诺斯艾利斯|South America|南美洲
Chile|智利|Santiago|圣地亚哥|South America|南美洲
Colombia|哥伦比亚|Bogota|波哥大|South America|南美洲
Venezuela|委内瑞拉|Caracas|加拉加斯|South America|南美洲
the United States|美国|Washington|华盛顿|North America|北美洲
Iceland|冰岛|Reykjavik|雷克雅未克|Europe|欧洲
Romania|罗马尼亚|Bucharest|布加勒斯特|Europe|欧洲
Bulgaria|保加利亚|Sofia|索非亚|Europe|欧洲
Croatia|克罗地亚|Zagreb|萨格勒布|Europe|欧洲
Nepal|尼泊尔|Kathmandu|加德满都|Asia|亚洲
Pakistan|巴基斯坦|Islamabad|伊斯兰堡|Asia|亚洲
Malaysia|马来西亚|Kuala Lumpur|吉隆坡|Asia|亚洲
Saudi Arabia|沙特阿拉伯|Riyadh|利雅得|Asia|亚洲
Ghana|加纳|Accra|阿克拉|Africa|非洲
Ecuador|厄瓜多尔|Quito|基多|South America|南美洲
the USA|美国|Washington|华盛顿|North America|北美洲
the Netherlands|荷兰|Amsterdam|阿姆斯特丹|Europe|欧洲
"""

UNITS = """
centimeters|meter|100|厘米|米
millimeters|centimeter|10|毫米|厘米
meters|kilometer|1000|米|千米
grams|kilogram|1000|克|千克
kilograms|ton|1000|千克|吨
milliliters|liter|1000|毫升|升
seconds|minute|60|秒|分钟
minutes|hour|60|分钟|小时
hours|day|24|小时|天
days|week|7|天|星期
months|year|12|个月|年
days|year|365|天|年
weeks|year|52|个星期|年
years|century|100|年|世纪
years|decade|10|年|十年期
inches|foot|12|英寸|英尺
feet|yard|3|英尺|码
ounces|pound|16|盎司|磅
cents|dollar|100|美分|美元
items|dozen|12|个|打
"""

OPPOSITES = """
hot|cold|热|冷
big|small|大|小
up|down|上|下
left|right|左|右
open|closed|开|关
fast|slow|快|慢
happy|sad|快乐|悲伤
light|dark|明亮|黑暗
old|young|年老|年轻
rich|poor|富|穷
hard|soft|硬|软
full|empty|满|空
wet|dry|湿|干
clean|dirty|干净|肮脏
strong|weak|强|弱
long|short|长|短
high|low|高|低
early|late|早|晚
loud|quiet|吵闹|安静
good|bad|好|坏
true|false|真|假
heavy|light|重|轻
thick|thin|厚|薄
wide|narrow|宽|窄
deep|shallow|深|浅
day|night|白天|黑夜
inside|outside|里面|外面
begin|end|开始|结束
push|pull|推|拉
buy|sell|买|卖
love|hate|爱|恨
win|lose|赢|输
brave|afraid|勇敢|害怕
sweet|bitter|甜|苦
near|far|近|远
easy|difficult|容易|困难
first|last|最先|最后
cheap|expensive|便宜|昂贵
smooth|rough|光滑|粗糙
safe|dangerous|安全|危险
"""

COLOURS = """
the sky|blue|天空|蓝色
grass|green|草|绿色
snow|white|雪|白色
the sun|yellow|太阳|黄色
blood|red|血|红色
coal|black|煤|黑色
milk|white|牛奶|白色
a banana|yellow|香蕉|黄色
a lemon|yellow|柠檬|黄色
an orange|orange|橙子|橙色
a carrot|orange|胡萝卜|橙色
a tomato|red|番茄|红色
a strawberry|red|草莓|红色
chocolate|brown|巧克力|棕色
coffee|brown|咖啡|棕色
a leaf|green|树叶|绿色
a frog|green|青蛙|绿色
a cucumber|green|黄瓜|绿色
the sea|blue|大海|蓝色
an elephant|grey|大象|灰色
a mouse|grey|老鼠|灰色
a raven|black|乌鸦|黑色
a polar bear|white|北极熊|白色
a flamingo|pink|火烈鸟|粉色
a pig|pink|猪|粉色
an eggplant|purple|茄子|紫色
lavender|purple|薰衣草|紫色
salt|white|盐|白色
gold|yellow|黄金|黄色
a swan|white|天鹅|白色
"""

# English|German|French|Spanish|Italian|Chinese
WORDS = """
water|Wasser|eau|agua|acqua|水
bread|Brot|pain|pan|pane|面包
milk|Milch|lait|leche|latte|牛奶
cat|Katze|chat|gato|gatto|猫
dog|Hund|chien|perro|cane|狗
house|Haus|maison|casa|casa|房子
sun|Sonne|soleil|sol|sole|太阳
moon|Mond|lune|luna|luna|月亮
book|Buch|livre|libro|libro|书
friend|Freund|ami|amigo|amico|朋友
love|Liebe|amour|amor|amore|爱
day|Tag|jour|día|giorno|天
night|Nacht|nuit|noche|notte|夜晚
tree|Baum|arbre|árbol|albero|树
flower|Blume|fleur|flor|fiore|花
red|rot|rouge|rojo|rosso|红色
hello|hallo|bonjour|hola|ciao|你好
goodbye|auf Wiedersehen|au revoir|adiós|arrivederci|再见
thank you|danke|merci|gracias|grazie|谢谢
please|bitte|s'il vous plaît|por favor|per favore|请
yes|ja|oui|sí|sì|是
no|nein|non|no|no|不
apple|Apfel|pomme|manzana|mela|苹果
fish|Fisch|poisson|pez|pesce|鱼
bird|Vogel|oiseau|pájaro|uccello|鸟
mother|Mutter|mère|madre|madre|妈妈
father|Vater|père|padre|padre|爸爸
school|Schule|école|escuela|scuola|学校
city|Stadt|ville|ciudad|città|城市
door|Tür|porte|puerta|porta|门
fire|Feuer|feu|fuego|fuoco|火
heart|Herz|cœur|corazón|cuore|心
tea|Tee|thé|té|tè|茶
coffee|Kaffee|café|café|caffè|咖啡
cheese|Käse|fromage|queso|formaggio|奶酪
time|Zeit|temps|tiempo|tempo|时间
"""

# word | what it is | an example sentence | 词 | 意思 | 例子
DEFINITIONS = """
a volcano|a mountain that can throw out hot rock and ash|some volcanoes sleep for hundreds of years|火山|能喷出岩浆和火山灰的山|有些火山会沉睡几百年
a computer|a machine that stores and works on data|a laptop is a computer that you can carry|电脑|储存和处理数据的机器|笔记本就是一种电脑
an island|a piece of land with water all around it|Iceland is a large island|岛屿|四面被水包围的陆地|冰岛是一个大岛
a desert|a very dry place where little grows|the Sahara is a famous desert|沙漠|非常干燥、植物很少的地方|撒哈拉是著名的沙漠
democracy|a system in which the people choose who governs|people vote in a democracy|民主|由人民选择管理者的制度|人们通过投票来选择
gravity|the force that pulls things towards each other|gravity keeps us on the ground|重力|让物体互相吸引的力|重力让我们站在地面上
photosynthesis|the way plants turn light into food|leaves are green because of it|光合作用|植物把光变成养分的过程|树叶因此是绿色的
a planet|a large round body that moves around a star|Earth is a planet|行星|围绕恒星运行的大天体|地球是一颗行星
a star|a huge ball of hot gas that gives light|the sun is a star|恒星|会发光的巨大气体球|太阳是一颗恒星
a river|a long stream of water that flows to the sea|the Nile is a long river|河流|流向大海的长长的水流|尼罗河是一条长河
a dictionary|a book that explains words|you can look up a word in a dictionary|词典|解释词语的书|可以在词典里查一个词
an atom|the smallest part of a chemical element|everything is made of atoms|原子|化学元素的最小部分|一切都由原子组成
a mammal|an animal that feeds its young with milk|whales are mammals|哺乳动物|用乳汁喂养幼崽的动物|鲸鱼是哺乳动物
a poem|a short text that plays with sound and feeling|many poems rhyme|诗|讲究声音和感情的短文|很多诗都押韵
inflation|a general rise of prices over time|with inflation the same money buys less|通货膨胀|物价随时间普遍上涨|同样的钱能买到的东西变少
an algorithm|a list of clear steps that solves a task|a recipe is a kind of algorithm|算法|解决问题的一系列明确步骤|菜谱就像一种算法
the internet|a worldwide network of computers|we use the internet to send messages|互联网|连接全世界电脑的网络|我们用互联网发消息
a museum|a place that keeps and shows old or fine things|you can see paintings in a museum|博物馆|收藏和展示珍贵物品的地方|可以在博物馆看画
oxygen|a gas in the air that we breathe|fire needs oxygen|氧气|空气中供我们呼吸的气体|火需要氧气
a bridge|a thing built to cross a river or a road|a bridge joins two sides|桥|用来跨过河流或道路的建筑|桥把两边连起来
a vaccine|a medicine that teaches the body to fight a disease|children get vaccines at the doctor|疫苗|让身体学会抵抗疾病的药物|孩子们会去接种疫苗
an earthquake|a sudden shaking of the ground|Japan has many earthquakes|地震|地面突然的震动|日本常有地震
a rainbow|a bow of colours that appears when sun meets rain|you see it after a shower|彩虹|阳光遇到雨水时出现的彩色弧线|雨后常能看到
a robot|a machine that can do tasks by itself|some robots build cars|机器人|能自己完成任务的机器|有些机器人会造汽车
a language model|a program that predicts the next word|I am a small one myself|语言模型|预测下一个词的程序|我自己就是一个小的
friendship|a bond between people who like and trust each other|friends help each other|友谊|互相喜欢和信任的人之间的感情|朋友会互相帮助
a library|a place where you can read and borrow books|students like the library|图书馆|可以看书和借书的地方|学生们喜欢图书馆
ice|water that is frozen|lakes turn to ice in winter|冰|冻住的水|冬天湖面会结冰
a noun|a word that names a person, a place or a thing|the word tree is a noun|名词|表示人、地点或事物的词|树就是一个名词
a verb|a word for an action|the word run is a verb|动词|表示动作的词|跑就是一个动词
"""
